"""Which case of a patient something belongs to that names none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from auth.principal import Principal
from rooms.broker import MemoryBroker
from rooms.cases import current_case
from rooms.commands import OpenCase, SetStatus
from rooms.cursor import START
from rooms.database import open_database
from rooms.errors import Code, Rejected
from rooms.events import Audience, Status
from rooms.service import Rooms
from tests.rooms.kit import (
    ASSISTANT,
    CASE,
    MARIA,
    PRIYA,
    SAM,
    SERVICE,
    TENANT,
    Clock,
    Ids,
    registration,
    say,
)

PATIENT = "patient-1"


@asynccontextmanager
async def registered(url: str) -> AsyncIterator[Rooms]:
    """Run rooms in which one patient is registered."""
    rooms = Rooms(open_database(url), MemoryBroker(), now=Clock(), new_id=Ids())
    async with rooms.running():
        await rooms.handle(CASE, registration(), SERVICE, "register")
        yield rooms


async def close(rooms: Rooms, case: str) -> None:
    await rooms.handle(case, SetStatus(Status.CLOSED), PRIYA, f"close {case}")


async def test_the_case_that_was_opened_last_and_is_open_is_the_one(database_url: str) -> None:
    async with registered(database_url) as rooms:
        assert await current_case(rooms, TENANT, PATIENT) == CASE
        await close(rooms, CASE)
        further = await current_case(rooms, TENANT, PATIENT)
        assert further != CASE
        await rooms.handle(CASE, SetStatus(Status.ACTIVE), PRIYA, "reopen")
        assert await current_case(rooms, TENANT, PATIENT) == further


async def test_a_further_case_is_the_patients_and_stands_at_intake(database_url: str) -> None:
    async with registered(database_url) as rooms:
        await close(rooms, CASE)
        case = await current_case(rooms, TENANT, PATIENT)
        state = await rooms.enter(case, MARIA)
        assert (state.patient_id, state.patient_name) == (PATIENT, "Maria")
        assert state.status is Status.INTAKE
        for audience in Audience:
            [record] = await rooms.log.read(case, audience, START)
            assert (record.kind, record.data) == ("status", {"from": "intake", "to": "intake"})
        assert (await rooms.handle(case, say("Hello"), MARIA, "k1")).cursor.seq == 2


async def test_those_who_find_no_open_case_at_the_same_time_open_one(database_url: str) -> None:
    async with registered(database_url) as rooms:
        for _ in range(3):
            await close(rooms, await current_case(rooms, TENANT, PATIENT))
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(current_case(rooms, TENANT, PATIENT)) for _ in range(10)]
            assert len({task.result() for task in asked}) == 1
        assert len(await rooms.log.cases_of(TENANT, PATIENT)) == 4


@pytest.mark.parametrize(("tenant", "patient"), [(TENANT, "nobody"), ("tenant-2", PATIENT)])
async def test_nobody_has_a_case_without_being_registered(
    database_url: str, tenant: str, patient: str
) -> None:
    async with registered(database_url) as rooms:
        with pytest.raises(Rejected) as refused:
            await current_case(rooms, tenant, patient)
        assert refused.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("by", [MARIA, PRIYA, SAM, ASSISTANT])
async def test_only_the_hub_itself_opens_a_further_case(database_url: str, by: Principal) -> None:
    async with registered(database_url) as rooms:
        with pytest.raises(Rejected) as refused:
            await rooms.handle("case-2", OpenCase(PATIENT, "Maria"), by, "k1")
        assert refused.value.code is Code.FORBIDDEN
        with pytest.raises(Rejected) as refused:
            await rooms.handle(CASE, OpenCase(PATIENT, "Maria"), SERVICE, "k1")
        assert refused.value.code is Code.CONFLICT


async def test_a_key_is_found_in_the_case_where_it_was_used(database_url: str) -> None:
    async with registered(database_url) as rooms:
        await rooms.handle(CASE, say("Hello"), MARIA, "k1")
        cases = ["case-2", CASE]
        assert await rooms.log.written_to(cases, MARIA, "k1") == CASE
        assert await rooms.log.written_to(cases, MARIA, "k2") is None
        assert await rooms.log.written_to(cases, PRIYA, "k1") is None
        assert await rooms.log.written_to(["case-2"], MARIA, "k1") is None
        assert await rooms.log.written_to([], MARIA, "k1") is None
