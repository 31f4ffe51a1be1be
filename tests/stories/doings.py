"""What people do in a room: what patients may see of it, and what they may not.

Each takes a world, the random numbers of its step, and a name for what it makes. Those that
patients may see do the same whether or not the others happen in between.
"""

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Final, TypeAlias

from auth.principal import Role
from rooms.commands import RegisterPatient, Remind, SendMessage
from rooms.events import Control
from tests.kit import CASE, MARIA, PRIYA, REGISTRAR, Frame, Identity
from tests.stories.world import Socket, World

QUINN: Final = Identity("user_quinn", "Quinn", Role.SUPERVISOR)
OMAR: Final = Identity("user_omar", "Omar", Role.COORDINATOR)

Action: TypeAlias = Callable[[World, Random, str], Awaitable[None]]

# What patients may see: what they do themselves, and what staff do towards them.


async def say_something(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    frame: Frame = {"type": "message", "key": key, "text": f"{key} für {rng.random()}"}
    await maria.say(frame)
    await maria.look()
    world.said += [ack["id"] for ack in maria.frames("ack") if ack["key"] == key]
    if rng.random() < 0.2:
        await maria.say(frame if rng.random() < 0.5 else {**frame, "text": "else"})
        await maria.look()


async def reply(world: World, rng: Random, key: str) -> None:
    """Reply to a message, to one that never was, or to what is a note in one of the worlds."""
    maria = await world.device()
    target = rng.choice([rng.choice(world.said or ["?"]), "message_x", "note_s1", "note_s2"])
    frame: Frame = {"type": "message", "key": key, "text": "I mean this", "reply_to": target}
    if rng.random() < 0.5:
        await maria.say(frame)
        await maria.look()
    else:
        del frame["type"], frame["key"]
        await world.ask("POST", f"cases/{CASE}/messages", key, json=frame)


async def type_or_read(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    frames: list[Frame] = [
        {"type": "typing", "on": rng.random() < 0.5},
        {"type": "read", "seq": rng.randrange(40)},
        {"type": "read", "seq": rng.randrange(400), "key": key},
        {"type": "pong", "seq": rng.randrange(400)},
    ]
    await maria.say(rng.choice(frames))
    await maria.look()


async def try_what_is_forbidden(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    frames: list[Frame] = [
        {"type": "note", "text": "psst", "key": key},
        {"type": "status", "status": "active", "key": key},
        {"type": "typing", "on": True, "in": "note", "key": key},
        {"type": "message", "text": "psst", "via": "sms", "key": key},
        {"type": "auth", "token": "again", "key": key},
    ]
    await maria.say(rng.choice(frames))
    await maria.look()
    await world.ask("POST", f"cases/{CASE}/notes", key, json={"text": "psst"})
    await world.ask("GET", f"cases/{rng.choice(['case-2', 'case-3'])}")
    await world.ask("GET", f"events/{rng.choice([*world.said, 'note_s1', 'note_x'])}/why")
    await world.ask("POST", "revocations", json={"sub": rng.choice(["user_priya", "user_gone"])})


async def send_rubbish(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    rubbish: list[str | bytes] = [
        "{",
        "[]",
        b"\x00",
        '{"type":"dance"}',
        '{"type":"message"}',
        '{"type":"read"}',
    ]
    for _ in range(rng.choice([1, 2, 12])):
        await maria.say(rng.choice(rubbish))
    await maria.look()


async def flood(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    for _ in range(rng.choice([70, 130])):
        await maria.say({"type": "typing", "on": True})
    await maria.look()
    await let_time_pass(world, rng, key)


async def type_or_read_by_rest(world: World, rng: Random, key: str) -> None:
    bodies: list[Frame] = [
        {"on": rng.random() < 0.5},
        {"on": True, "in": "note"},
        {"seq": rng.randrange(40)},
        {"seq": rng.randrange(400)},
    ]
    body = rng.choice(bodies)
    await world.tell(f"cases/{CASE}/{'read' if 'seq' in body else 'typing'}", body)


async def ask_again(world: World, rng: Random, key: str) -> None:
    """Want an answer once more: where one broke off, is being written, or never was."""
    maria = await world.device()
    if rng.random() < 0.7:
        await maria.say({"type": "message", "key": f"say {key}", "text": "A question"})
        await maria.say({"type": "stop", "key": f"stop {key}"})
        await maria.look()
    run = rng.choice([{}, {}, {"run": rng.choice(["run_p1", "run_s1", "run_x"])}])
    if rng.random() < 0.5:
        await maria.say({"type": "retry", "key": key, **run})
        await maria.look()
    else:
        await world.ask("POST", f"cases/{CASE}/retry", key, json=run)


async def look_back(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    before = {} if rng.random() < 0.3 else {"before": rng.randrange(1, 60)}
    await maria.say({"type": "history", "key": key, "limit": rng.randrange(1, 30), **before})
    await maria.look()


async def ask_by_rest(world: World, rng: Random, key: str) -> None:
    await world.ask("GET", f"cases/{CASE}")
    after = rng.choice(["0.0", str(await world.head()), f"{rng.randrange(1, 60)}.0a1b2c3d"])
    limit = rng.randrange(1, 20)
    kind = rng.choice(["", "message", "note", "status"])
    params: dict[str, Any] = {"after": after, "limit": limit, "kind": kind}
    await world.ask("GET", f"cases/{CASE}/events", params=params)
    ends: list[dict[str, Any]] = [
        {"before": rng.randrange(60), "limit": limit},
        {"tail": rng.randrange(20)},
        {"before": 3, "tail": 3},
    ]
    await world.ask("GET", f"cases/{CASE}/events", params=rng.choice(ends))
    await world.ask("GET", "cases")
    channel = rng.choice(["", "chat", "whatsapp,chat", "internal_note"])
    params = {"channel": channel, "limit": limit}
    params |= {} if rng.random() < 0.5 else {"before": rng.randrange(1, 60)}
    await world.ask("GET", f"cases/{CASE}/timeline", params=params)


async def say_by_rest(world: World, rng: Random, key: str) -> None:
    path, said = f"cases/{CASE}/messages", {"text": key}
    world.said.append((await world.ask("POST", path, key, json=said))["id"])
    if rng.random() < 0.5:
        await world.ask("POST", path, key, json=said)


async def chat(world: World, rng: Random, key: str) -> None:
    """Say something by the request that brings the reply along: of the AI, none ever comes."""
    led = (await world.state()).control is Control.HUMAN
    prefer = "wait=10" if led else "respond-async"
    path, said = f"patients/{MARIA.patient_id}/chat", {"text": key}
    world.said.append((await world.ask("POST", path, key, prefer, json=said))["id"])


async def look_for_answers(world: World, rng: Random, key: str) -> None:
    """Come back to the stream of the AI's answers."""
    runs = ["run_p1", "run_p2", "run_s1", "note_s1", "run_x"]
    await world.resume_answers(rng.choice(["?", f"{rng.choice(runs)}.{rng.randrange(2)}"]))


async def send_a_file(world: World, rng: Random, key: str) -> None:
    """Send a file, make it a part of the case, and ask for it and for those of others."""
    form: dict[str, Any] = {"data": {"case": CASE}, "files": {"file": ("a.txt", key.encode())}}
    sent = await world.ask("POST", "uploads", key, **form)
    chosen = rng.choice([sent["id"], sent["id"], "upload_s1", "upload_x"])
    wish = {"case": CASE, "id": chosen}
    await world.ask("POST", "uploads/confirm", f"confirm {key}", json=wish)
    await world.ask("GET", f"uploads/{rng.choice([chosen, 'upload_s1', 'upload_s2'])}")


async def come_back(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    await maria.look()
    await world.leave(maria)
    auths: list[Frame] = [
        {},
        {"tail": rng.randrange(9)},
        {"after": "0.0"},
        {"after": f"{rng.randrange(1, 60)}.0a1b2c3d"},
        {"after": str(await world.head())},
        {"after": f"{(await world.head()).seq + 1}.0a1b2c3d"},
    ]
    world.maria = await world.enter("maria", **rng.choice(auths))


async def take_the_phone(world: World, rng: Random, key: str) -> None:
    if world.phone is None:
        world.phone = await world.enter("phone")
    else:
        await world.phone.look()
        await world.leave(world.phone)
        world.phone = None


async def stream_anew(world: World, rng: Random, key: str) -> None:
    await world.flush(key)
    foreign = f"{rng.randrange(1, 60)}.0a1b2c3d"
    old = world.messages
    await world.leave(old)
    world.messages = await world.open_stream(
        "messages/stream", rng.choice([None, foreign, "0.0", "?", old.cursor])
    )
    old = world.feed
    await world.leave(old)
    world.feed = await world.open_stream("stream", rng.choice([None, foreign, old.cursor]))


async def renew(world: World, rng: Random, key: str) -> None:
    for socket in (await world.device(), world.phone):
        if socket is not None:
            await socket.say({"type": "token", "token": world.token(MARIA), "key": key})
            await socket.look()


async def let_time_pass(world: World, rng: Random, key: str) -> None:
    """Move the clock, and let the hub look at what is due."""
    world.clock[0] += rng.choice([2.0, 9.0, 16.0, 16.0, 31.0, 65.0])
    here = list(world.hub.hub.manager.of_case(CASE))
    world.hub.hub.manager.sweep()
    gone = {connection.id for connection in here if connection.closed}
    for wire in world.wires.values():
        if isinstance(wire, Socket) and not wire.closed and wire.id in gone:
            await wire.until(lambda: False)


async def look(world: World, rng: Random, key: str) -> None:
    await (await world.device()).look()


async def hear_from_staff(world: World, rng: Random, key: str) -> None:
    frame: Frame = {"type": "message", "text": f"{key} from Priya"}
    if rng.random() < 0.3:
        frame["via"] = rng.choice(["whatsapp", "sms"])
    if world.said and rng.random() < 0.3:
        frame["reply_to"] = rng.choice(world.said)
    if rng.random() < 0.3:
        del frame["type"]
        assert await world.staff_rest(PRIYA, "POST", "messages", json=frame) == 201
    else:
        answer = await world.staff(frame)
        assert answer["type"] == "ack", answer
        world.said.append(answer["id"])


async def see_staff_type(world: World, rng: Random, key: str) -> None:
    await world.desk.send({"type": "typing", "on": rng.random() < 0.5})
    await world.staff({"type": "ping"})


async def see_the_status_change(world: World, rng: Random, key: str) -> None:
    status = rng.choice(["intake", "active", "on_hold"])
    await world.staff({"type": "status", "status": status})


async def find_the_case_closed(world: World, rng: Random, key: str) -> None:
    await world.staff({"type": "status", "status": "closed"})
    maria = await world.device()
    await maria.say({"type": "message", "key": key, "text": "Hello?"})
    await maria.look()
    await world.staff({"type": "status", "status": "active"})


async def see_the_case_change_hands(world: World, rng: Random, key: str) -> None:
    """Ask for a person, find that one came, or that the AI goes on; briefs are not for patients."""
    state = await world.state()
    if state.control is Control.HUMAN:
        brief = f"Between {state.staff.seq} events: {key}"
        answer = await world.staff({"type": "release", "brief": brief})
    elif state.control is Control.AI and rng.random() < 0.5:
        maria = await world.device()
        await maria.say({"type": "escalate", "key": key, "reason": "A question"})
        await maria.look()
        return
    else:
        answer = await world.staff({"type": "accept"})
    assert answer["type"] == "ack", answer


async def tell_of_an_emergency(world: World, rng: Random, key: str) -> None:
    maria = await world.device()
    await maria.say({"type": "message", "key": key, "text": "I have chest pain"})
    await maria.look()


# What patients may not see: what staff do among themselves.


async def write_a_note(world: World, rng: Random, key: str) -> None:
    frame: Frame = {"type": "note", "text": f"secret {key}", "mentions": ["user_quinn"]}
    if rng.random() < 0.3:
        assert await world.staff_rest(PRIYA, "POST", "notes", json={"text": "secret"}) == 201
    else:
        answer = await world.staff(frame)
        assert answer["type"] == "ack", answer
        repeated = await world.desk.ask({**frame, "key": answer["key"]})
        assert repeated["dup"], repeated


async def type_a_note(world: World, rng: Random, key: str) -> None:
    await world.desk.send({"type": "typing", "on": rng.random() < 0.5, "in": "note"})
    await world.staff({"type": "ping"})


async def read_as_staff(world: World, rng: Random, key: str) -> None:
    await world.desk.send({"type": "read", "seq": rng.randrange(100)})
    await world.staff({"type": "ping"})
    await world.staff({"type": "history", "limit": rng.randrange(1, 50)})


async def fail_as_staff(world: World, rng: Random, key: str) -> None:
    """Give commands that are refused: nothing is stored."""
    frames: list[Frame] = [
        {"type": "message", "text": "late", "seen": 0},
        {"type": "message", "text": "wrong", "reply_to": "note_s1"},
        {"type": "message", "text": ""},
        {"type": "retry", "run": "run_x"},
        {"type": "status", "status": "gone"},
        {"type": "dance"},
    ]
    answer = await world.staff(rng.choice(frames))
    assert answer["type"] == "error", answer


async def let_a_second_coordinator_look(world: World, rng: Random, key: str) -> None:
    if world.tab is None:
        world.tab = await world.enter_as_staff(QUINN, tail=rng.randrange(100))
    else:
        await world.leave_as_staff(world.tab, QUINN)
        world.tab = None


async def let_the_coordinator_go_and_return(world: World, rng: Random, key: str) -> None:
    if (await world.state()).control is Control.HUMAN:
        # Whether whoever leads the case is there is the patient's business.
        return
    await world.leave_as_staff(world.desk, PRIYA)
    world.desk = await world.enter_as_staff(PRIYA)


async def read_by_rest_as_staff(world: World, rng: Random, key: str) -> None:
    channel = {"channel": "internal_note"}
    assert await world.staff_rest(QUINN, "GET", "timeline", params=channel) == 200
    assert await world.staff_rest(QUINN, "GET", "events", params={"kind": "note"}) == 200
    ends: list[dict[str, Any]] = [{"before": rng.randrange(99)}, {"tail": rng.randrange(99)}]
    assert await world.staff_rest(QUINN, "GET", "events", params=rng.choice(ends)) == 200


async def type_or_read_by_rest_as_staff(world: World, rng: Random, key: str) -> None:
    typing: Frame = {"on": rng.random() < 0.5, "in": "note"}
    assert await world.staff_rest(QUINN, "POST", "typing", json=typing) == 204
    read: Frame = {"seq": rng.randrange(100)}
    assert await world.staff_rest(QUINN, "POST", "read", json=read) in (204, 404)


async def look_at_the_desk(world: World, rng: Random, key: str) -> None:
    headers = world.hub.headers(QUINN)
    assert (await world.rest.get("cases", headers=headers)).status_code == 200


async def stream_as_staff(world: World, rng: Random, key: str) -> None:
    """Look at what the patient sees."""
    headers = world.hub.headers(QUINN) | {"Last-Event-ID": "0.0"}
    async with world.rest.stream("GET", f"cases/{CASE}/stream", headers=headers) as response:
        async for chunk in response.aiter_raw():
            if b"caught_up" in chunk:
                break


async def be_told_again(world: World, rng: Random, key: str) -> None:
    """Let a case that waits alert staff once more."""
    state = await world.state()
    command = Remind(state.fence, rng.randrange(9))
    await world.hub.hub.rooms.handle(CASE, command, REGISTRAR.principal(), key)


async def compete_for_the_case(world: World, rng: Random, key: str) -> None:
    """Want what somebody else has."""
    if (await world.state()).control is Control.HUMAN:
        for call in ("accept", "escalate"):
            assert await world.staff_rest(OMAR, "POST", call, json={}) in (200, 409)


async def be_busy_elsewhere(world: World, rng: Random, key: str) -> None:
    """Let other patients have other cases."""
    command = RegisterPatient(f"patient-{key}", "Somebody", None)
    await world.hub.hub.rooms.handle(f"case-{key}", command, REGISTRAR.principal(), key)
    message = SendMessage("elsewhere")
    await world.hub.hub.rooms.handle(f"case-{key}", message, PRIYA.principal(), key)


async def keep_a_file(world: World, rng: Random, key: str) -> None:
    """Send a file and not make it a part of the case."""
    form: dict[str, Any] = {"data": {"case": CASE}, "files": {"file": ("secret.txt", b"secret")}}
    assert await world.as_staff(QUINN, "POST", "uploads", **form) == 201


async def ask_why(world: World, rng: Random, key: str) -> None:
    """Ask who was given an event, of which the patient is one."""
    id = rng.choice([*world.said, "note_s1"])
    assert await world.as_staff(QUINN, "GET", f"events/{id}/why") in (200, 404)


async def revoke_tokens(world: World, rng: Random, key: str) -> None:
    """Let the tokens of a colleague who has left count no longer."""
    gone = {"sub": "user_gone"}
    assert await world.as_staff(QUINN, "POST", "revocations", json=gone) == 200


async def sweep(world: World, rng: Random, key: str) -> None:
    world.hub.hub.manager.sweep()


SEEN: Final[dict[Action, int]] = {
    say_something: 8,
    reply: 4,
    type_or_read: 5,
    try_what_is_forbidden: 2,
    send_rubbish: 2,
    flood: 1,
    type_or_read_by_rest: 4,
    ask_again: 3,
    look_back: 4,
    ask_by_rest: 4,
    say_by_rest: 3,
    chat: 3,
    look_for_answers: 3,
    send_a_file: 3,
    come_back: 4,
    take_the_phone: 3,
    stream_anew: 3,
    renew: 1,
    let_time_pass: 6,
    look: 3,
    hear_from_staff: 8,
    see_staff_type: 4,
    see_the_status_change: 3,
    find_the_case_closed: 1,
    see_the_case_change_hands: 5,
    tell_of_an_emergency: 1,
}
UNSEEN: Final[dict[Action, int]] = {
    write_a_note: 8,
    type_a_note: 3,
    read_as_staff: 4,
    fail_as_staff: 3,
    let_a_second_coordinator_look: 4,
    let_the_coordinator_go_and_return: 2,
    read_by_rest_as_staff: 2,
    type_or_read_by_rest_as_staff: 3,
    look_at_the_desk: 1,
    stream_as_staff: 2,
    be_told_again: 3,
    compete_for_the_case: 3,
    be_busy_elsewhere: 2,
    keep_a_file: 2,
    ask_why: 3,
    revoke_tokens: 1,
    sweep: 2,
}
