"""Which case of a patient something belongs to that names none."""

from auth.principal import Principal, hub_itself
from rooms.commands import OpenCase
from rooms.errors import forbidden
from rooms.service import Rooms


async def case_for(rooms: Rooms, by: Principal, patient: str, key: str) -> str:
    """Give the case of a patient in which `by` has used the key; else the current one.

    A retry belongs where the first attempt is stored, even if that case was closed since.

    Raises:
        Rejected: there is no such patient.
        Unavailable: it is not known to be open.

    """
    cases = await rooms.log.cases_of(by.tenant, patient)
    written = await rooms.log.written_to(cases, by, key)
    return written or await current_case(rooms, by.tenant, patient)


async def current_case(rooms: Rooms, tenant: str, patient: str) -> str:
    """Give the case of a patient that was opened last and is not closed; else open one.

    Raises:
        Rejected: there is no such patient.
        Unavailable: it is not known to be open.

    """
    # Counted first: a case that is opened in between is found, and not opened once more.
    before = len(await rooms.log.cases_of(tenant, patient))
    case = await rooms.log.newest_case(tenant, patient)
    if case is not None:
        return case
    name = await rooms.log.patient_name(tenant, patient)
    if name is None:
        raise forbidden()
    by = hub_itself(tenant)
    # Whoever finds no open case at the same time asks for the same one by the same key.
    key = f"case {before + 1} of {patient}"
    command = OpenCase(patient, name)
    receipt = await rooms.handle(rooms.new_case(), command, by, key, echo=False)
    return receipt.case
