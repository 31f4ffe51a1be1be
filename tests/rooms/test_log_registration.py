"""Registering patients: once each, however often and from wherever it is tried."""

import asyncio
from dataclasses import replace

import pytest

from auth.principal import Principal, Role
from rooms.commands import Command, RegisterPatient
from rooms.cursor import START
from rooms.errors import Code, Rejected, RoomError
from rooms.events import Audience
from rooms.log import Receipt
from tests.rooms.kit import (
    CASE,
    PRIYA,
    SERVICE,
    OpenLog,
    assert_dense,
    open_log,
    refused,
    registration,
)

PATIENT = Audience.PATIENT


async def registered(hub: OpenLog, command: Command, case: str, by: Principal = SERVICE) -> str:
    """Give the case that a registration opened, or the code of its refusal."""
    try:
        return (await hub.log.append(case, command, by, f"register {case}")).case
    except RoomError as error:
        return error.code


async def test_a_registration_makes_the_patient_known_and_opens_a_case(hub: OpenLog) -> None:
    assert await hub.log.patient_of(SERVICE.tenant, "user_of_1") == "patient-1"
    assert await hub.log.patient_of(SERVICE.tenant, "user_of_2") is None
    assert await hub.log.patient_of("tenant-2", "user_of_1") is None
    (record,) = await hub.log.read(CASE, PATIENT, START)
    assert record.kind == "patient"
    assert record.data == {
        "event": "patient_registered",
        "patient_id": "patient-1",
        "name": "Maria",
    }


async def test_a_retried_registration_finds_the_first_case(hub: OpenLog) -> None:
    first = await hub.log.append("case-2", registration(2), SERVICE, "r1")
    again = await hub.log.append("case-3", registration(2), SERVICE, "r1")
    assert again == replace(first, dup=True)
    assert again.case == "case-2"
    assert await hub.log.state("case-3") is None
    other = await refused(hub.log.append("case-4", registration(3), SERVICE, "r1"))
    assert other.code is Code.KEY_REUSED


async def test_the_key_of_a_registration_is_not_that_of_a_command_in_a_case(
    hub: OpenLog,
) -> None:
    await hub.say("Hello", SERVICE, "k1", CASE)
    receipt = await hub.log.append("case-2", registration(2), SERVICE, "k1")
    assert not receipt.dup


@pytest.mark.parametrize(
    "command",
    [
        registration(1),
        RegisterPatient("patient-1", "Somebody else", None),
        RegisterPatient("patient-9", "Another name", "user_of_1"),
    ],
)
async def test_a_patient_and_a_user_are_registered_once(
    hub: OpenLog, command: RegisterPatient
) -> None:
    assert await registered(hub, command, "case-2") == Code.CONFLICT
    assert await hub.log.state("case-2") is None
    elsewhere = replace(SERVICE, tenant="tenant-2")
    assert await registered(hub, command, "case-3", elsewhere) == "case-3"


async def test_patients_without_a_user_do_not_stand_in_each_others_way(hub: OpenLog) -> None:
    for number in (2, 3):
        command = RegisterPatient(f"patient-{number}", "Nina", None)
        assert await registered(hub, command, f"case-{number}") == f"case-{number}"


async def test_of_registrations_in_one_moment_one_wins(hub: OpenLog) -> None:
    same_id = [RegisterPatient("patient-2", "Nina", f"user_{number}") for number in range(3)]
    same_user = [RegisterPatient(f"patient-3{number}", "Nina", "user_n") for number in range(3)]
    both_none = [RegisterPatient(f"patient-4{number}", "Nina", None) for number in range(2)]
    commands = [*same_id, *same_user, *both_none]
    answers = await asyncio.gather(
        *(registered(hub, command, f"case-{number}") for number, command in enumerate(commands, 2))
    )
    assert answers == [
        *("case-2", Code.CONFLICT, Code.CONFLICT),
        *("case-5", Code.CONFLICT, Code.CONFLICT),
        *("case-8", "case-9"),
    ]


async def test_two_tenants_may_register_the_same_id_in_one_moment(hub: OpenLog) -> None:
    elsewhere = replace(SERVICE, tenant="tenant-2")
    answers = await asyncio.gather(
        registered(hub, registration(2), "case-2"),
        registered(hub, registration(2), "case-3", elsewhere),
    )
    assert list(answers) == ["case-2", "case-3"]


async def test_a_case_is_opened_once(hub: OpenLog) -> None:
    assert await registered(hub, registration(2), CASE) == Code.CONFLICT
    answers = await asyncio.gather(
        registered(hub, registration(3), "case-3"),
        hub.log.append("case-3", registration(4), SERVICE, "other key"),
        return_exceptions=True,
    )
    assert answers[0] == "case-3"
    assert isinstance(answers[1], Rejected)
    assert await hub.log.patient_of(SERVICE.tenant, "user_of_4") is None


async def test_a_case_takes_commands_in_the_moment_in_which_it_is_opened(hub: OpenLog) -> None:
    opened, said = await asyncio.gather(
        hub.open_case("case-2", 2), hub.say("Hello", PRIYA, case="case-2")
    )
    assert (opened.cursor.seq, said.cursor.seq) == (1, 2)
    await assert_dense(hub.log, "case-2", 2)


async def test_one_patient_registered_by_two_processes_at_once_is_registered_once(
    database_url: str,
) -> None:
    async with open_log(database_url, "a") as one, open_log(database_url, "b") as two:
        for number in range(15):
            answers = await asyncio.gather(
                one.log.append(f"a-{number}", registration(number), SERVICE, f"r{number}"),
                two.log.append(f"b-{number}", registration(number), SERVICE, f"r{number}"),
                return_exceptions=True,
            )
            first = [a for a in answers if isinstance(a, Receipt) and not a.dup]
            assert len(first) == 1
            for answer in answers:
                assert isinstance(answer, Receipt)
            for hub, case in ((one, f"a-{number}"), (two, f"b-{number}")):
                again = await hub.log.append(case, registration(number), SERVICE, f"r{number}")
                assert again == replace(first[0], dup=True)


async def test_a_patient_who_registers_twice_in_one_moment_gets_one_receipt_twice(
    hub: OpenLog,
) -> None:
    newcomer = replace(PRIYA, id="user_of_9", role=Role.PATIENT)
    command = registration(9)
    first, again = await asyncio.gather(
        hub.log.append("case-9", command, newcomer, "k"),
        hub.log.append("case-10", command, newcomer, "k"),
    )
    assert (first.case, again.case) == ("case-9", "case-9")
    assert (first.dup, again.dup) == (False, True)
