"""The WebSocket door of a case: whoever has a right to the case joins its room."""

from functools import partial
from typing import Any, assert_never

from auth.principal import Principal
from hub.client_frames import Auth, DeskAuth, History, Read, RoomFrame, Typing, WriteFrame
from hub.connection import Connection
from hub.door import Begin, Door, principal
from hub.server_frames import Ack, PingFrame, Ready, Reset, State, You, instant, page_text
from rooms.cursor import parse_cursor
from rooms.encoding import timestamp, to_json
from rooms.events import Audience
from rooms.service import Joined
from rooms.state import audience_of
from rooms.visits import Way


class RoomDoor(Door):
    """Serves `/api/v1/cases/{case}/ws`."""

    # Entering.

    async def _join(self, connection: Connection, by: Principal, frame: DeskAuth) -> Begin | None:
        assert isinstance(frame, Auth)  # noqa: S101 - the only `auth` among the frames of rooms
        after = None if frame.after is None else parse_cursor(frame.after)
        joined = await self._rooms.join(
            connection.case, by, audience_of(by), connection, after=after, tail=frame.tail
        )
        connection.subscription = joined.subscription
        if not self._admit(connection, by):
            return None
        connection.visit = self._rooms.visits.begin(
            connection.id,
            connection.case,
            by,
            Way.WEBSOCKET,
            joined.subscription,
            joined.start.seq,
            resumed=joined.resumed,
        )
        if joined.reset is not None:
            connection.send(Reset(case=connection.case, reason=joined.reset))
        connection.send(_ready(by, joined))
        return partial(self._begin, connection, joined)

    async def _begin(self, connection: Connection, joined: Joined) -> None:
        audience = audience_of(principal(connection))
        connection.ping = lambda: PingFrame(cursor=str(self._rooms.head(connection.case, audience)))
        connection.on_live = lambda: self._arrive(connection)
        await joined.subscription.start(joined.start)

    def _arrive(self, connection: Connection) -> None:
        by = principal(connection)
        self._rooms.arrive(connection.case, connection.id, by)
        if by.is_staff:
            frame = self._rooms.presence_frame(connection.case)
        else:
            frame = self._rooms.patient_presence_frame(connection.case)
        connection.send_text(to_json(frame))

    def _left(self, connection: Connection) -> None:
        self._rooms.depart(connection.case, connection.id)
        if connection.visit is not None:
            self._rooms.visits.end(connection.visit, connection.code)

    # Conversing.

    async def _take(self, connection: Connection, frame: RoomFrame, key: str | None) -> None:
        by = principal(connection)
        if isinstance(frame, WriteFrame):
            assert key is not None  # noqa: S101 - the door gives one to every frame that writes
            await self._write(connection, frame, by, key)
            return
        match frame:
            case Typing(on=on, where=where):
                self._rooms.typing(connection.case, by, on, in_note=where == "note")
            case Read(seq=seq):
                await self._rooms.read(connection.case, by, seq)
            case History():
                await self._history(connection, frame, audience_of(by))
            case _:
                assert_never(frame)

    async def _write(
        self, connection: Connection, frame: WriteFrame, by: Principal, key: str
    ) -> None:
        receipt = await self._rooms.handle(
            connection.case, frame.command(), by, key, echo=frame.key is not None
        )
        ack: dict[str, Any] = {
            "key": key,
            "seq": receipt.cursor.seq,
            "cursor": str(receipt.cursor),
            "at": timestamp(receipt.at),
        }
        ack |= {} if receipt.id is None else {"id": receipt.id}
        ack |= {"dup": True} if receipt.dup else {}
        connection.send(Ack.model_validate(ack))

    async def _history(self, connection: Connection, frame: History, audience: Audience) -> None:
        page = await self._rooms.history(connection.case, audience, frame.before, frame.limit)
        connection.send_text(page_text(frame.key, connection.case, page.frames, page.more))


def _ready(by: Principal, joined: Joined) -> Ready:
    state = joined.state
    exp = instant(by.expires_at)
    return Ready.model_validate(
        {
            "case": state.case,
            "you": You(id=by.id, role=by.role.value, name=by.name),
            "head": str(joined.head),
            "from": joined.start.seq + 1,
            "resumed": joined.resumed,
            **({} if exp is None else {"exp": exp}),
            "state": State(
                control=state.control,
                status=state.status,
                coordinator=state.owner_name,
                run=None if state.run is None else state.run.id,
            ),
        }
    )
