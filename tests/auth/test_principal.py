import dataclasses

import pytest

from auth.principal import Principal, Role


@pytest.mark.parametrize("role", Role)
def test_everybody_but_a_patient_is_staff(role: Role) -> None:
    assert Principal("user_1", "t1", role, "Maria").is_staff is (role is not Role.PATIENT)


def test_a_principal_cannot_be_changed_into_another_one() -> None:
    principal = Principal("user_1", "t1", Role.PATIENT, "Maria")
    with pytest.raises(dataclasses.FrozenInstanceError):
        principal.role = Role.SUPERVISOR  # type: ignore[misc]


def test_roles_have_the_names_of_the_wire() -> None:
    names = ["patient", "coordinator", "supervisor", "service", "ai"]
    assert [str(role) for role in Role] == names
