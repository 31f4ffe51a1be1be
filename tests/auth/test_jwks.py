import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from auth.errors import KeysUnavailable, Unauthenticated
from auth.jwks import COLD_COOLDOWN_S, COOLDOWN_S, HARD_EXPIRY_S, SOFT_EXPIRY_S, JwksKeys
from auth.keys import PublicKey
from auth.tokens import Verifier, sign
from tests.auth.kit import KINDS, Clock, Json, KeyServer, claims, jwk, key_set, private_key

OLD, NEW = private_key("EdDSA", 1), private_key("EdDSA", 2)
DOWN = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: {length}\r\n\r\n"
UP = KeyServer.head
BOUND_S = 10


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with KeyServer.running(key_set(jwk(OLD, "old"))) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(server: KeyServer, clock: Clock) -> JwksKeys:
    return JwksKeys(server.url, monotonic=clock.monotonic)


async def old(keys: JwksKeys) -> PublicKey:
    return await keys.key("old", "EdDSA")


async def is_unknown(keys: JwksKeys, kid: str = "guess") -> None:
    with pytest.raises(Unauthenticated, match="no such key"):
        await keys.key(kid, "EdDSA")


async def is_unavailable(keys: JwksKeys, reason: str = "") -> None:
    with pytest.raises(KeysUnavailable) as refusal:
        await old(keys)
    assert reason in refusal.value.reason


async def settled() -> None:
    """Let every task that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_token_is_verified_by_the_key_that_it_names(
    server: KeyServer, clock: Clock, keys: JwksKeys, kind: str
) -> None:
    server.body = key_set(*(jwk(private_key(k), k) for k in KINDS))
    verifier = Verifier(keys, now=clock.utc)
    principal = await verifier.verify(sign(claims(), private_key(kind), kid=kind))
    assert principal.id == "user_1"


async def test_a_token_that_names_the_key_of_another_is_refused(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    server.body = key_set(jwk(OLD, "old"), jwk(NEW, "new"))
    with pytest.raises(Unauthenticated, match="Signature verification failed"):
        await Verifier(keys, now=clock.utc).verify(sign(claims(), OLD, kid="new"))


@pytest.mark.parametrize(
    "kid", ["", "OLD", "old ", "../old", "/dev/null", "old\0", "' or 1=1 --", "http://x/old"]
)
async def test_a_kid_is_only_ever_compared(keys: JwksKeys, kid: str) -> None:
    await is_unknown(keys, kid)


async def test_a_key_is_not_used_with_the_algorithm_of_another_kind(keys: JwksKeys) -> None:
    with pytest.raises(Unauthenticated):
        await keys.key("old", "RS256")


async def test_without_a_kid_the_only_key_of_the_algorithm_is_used(
    server: KeyServer, keys: JwksKeys
) -> None:
    server.body = key_set(jwk(OLD, None), jwk(private_key("RS256"), "rsa"))
    assert await keys.key(None, "EdDSA") == OLD.public_key()


@pytest.mark.parametrize("kids", [("a", "b"), (None, None), ("a", "a")])
async def test_two_keys_that_a_token_might_mean_are_none(
    server: KeyServer, keys: JwksKeys, kids: tuple[str | None, str | None]
) -> None:
    server.body = key_set(jwk(OLD, kids[0]), jwk(NEW, kids[1]))
    with pytest.raises(Unauthenticated):
        await keys.key(kids[0] if kids[0] == kids[1] else None, "EdDSA")


async def test_fifty_verifications_at_once_share_one_fetch(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    verifier = Verifier(keys, now=clock.utc)
    token = sign(claims(), OLD, kid="old")
    principals = await asyncio.gather(*(verifier.verify(token) for _ in range(50)))
    assert {p.id for p in principals} == {"user_1"}
    assert server.requests == 1


async def test_fifty_verifications_at_once_share_one_failure(
    server: KeyServer, keys: JwksKeys
) -> None:
    server.head = DOWN
    results = await asyncio.gather(*(old(keys) for _ in range(50)), return_exceptions=True)
    assert {type(result) for result in results} == {KeysUnavailable}
    assert server.requests == 1


async def test_a_storm_of_unknown_kids_costs_one_fetch_in_thirty_seconds(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    clock.move(COOLDOWN_S)
    for second in range(60):
        await asyncio.gather(*(is_unknown(keys, f"kid-{second}-{n}") for n in range(5)))
        clock.move(1)
    assert server.requests == 1 + 2


async def test_an_unknown_kid_right_after_a_fetch_costs_none(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    clock.move(COOLDOWN_S - 1)
    await is_unknown(keys)
    assert server.requests == 1


async def test_a_rotated_key_is_found_by_its_unknown_kid(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    server.body = key_set(jwk(NEW, "new"))
    clock.move(COOLDOWN_S)
    assert await keys.key("new", "EdDSA") == NEW.public_key()
    await is_unknown(keys, "old")


async def test_a_withdrawn_key_is_forgotten_at_the_soft_expiry(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    server.body = key_set(jwk(NEW, "new"))
    clock.move(SOFT_EXPIRY_S - 1)
    assert await old(keys) == OLD.public_key()
    clock.move(1)
    await is_unknown(keys, "old")
    assert server.requests == 2


async def test_stale_keys_serve_while_one_verifier_refreshes_them(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    clock.move(SOFT_EXPIRY_S)
    server.gate.clear()
    server.asked.clear()
    refreshing = asyncio.create_task(old(keys))
    async with asyncio.timeout(BOUND_S):
        await server.asked.wait()
        assert await old(keys) == OLD.public_key()
        assert not refreshing.done()
        server.gate.set()
        assert await refreshing == OLD.public_key()
    assert server.requests == 2


async def test_stale_keys_serve_an_outage_of_a_day_and_no_longer(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    server.head = DOWN
    clock.move(HARD_EXPIRY_S - 1)
    assert await old(keys) == OLD.public_key()
    assert keys.failure == "ValueError: status 503"
    clock.move(COOLDOWN_S)
    await is_unavailable(keys, "503")


async def test_a_failed_refresh_is_tried_again_after_the_cooldown(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    server.head = DOWN
    clock.move(SOFT_EXPIRY_S)
    for _ in range(10):
        assert await old(keys) == OLD.public_key()
    assert server.requests == 2
    server.head = UP
    clock.move(COOLDOWN_S)
    await old(keys)
    assert (server.requests, keys.failure) == (3, None)


async def test_an_unknown_kid_during_an_outage_is_the_fault_of_its_bearer(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    server.head = DOWN
    clock.move(COOLDOWN_S)
    await is_unknown(keys)


async def test_a_server_that_comes_back_is_asked_again_soon(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    server.head = DOWN
    await is_unavailable(keys)
    await is_unavailable(keys)
    assert server.requests == 1
    server.head = UP
    clock.move(COLD_COOLDOWN_S)
    assert await old(keys) == OLD.public_key()


async def test_an_unreachable_server_is_not_the_fault_of_the_client(clock: Clock) -> None:
    async with KeyServer.running() as gone:
        pass
    keys = JwksKeys(gone.url, monotonic=clock.monotonic)
    with pytest.raises(KeysUnavailable) as refusal:
        await Verifier(keys, now=clock.utc).verify(sign(claims(), OLD, kid="old"))
    assert (refusal.value.code, "ConnectError" in refusal.value.reason) == ("unavailable", True)


async def test_a_cancelled_verifier_does_not_take_the_others_with_it(
    server: KeyServer, keys: JwksKeys
) -> None:
    server.gate.clear()
    first, second, third = (asyncio.create_task(old(keys)) for _ in range(3))
    async with asyncio.timeout(BOUND_S):
        await server.asked.wait()
        first.cancel()
        server.gate.set()
        assert await second == await third == OLD.public_key()
    assert first.cancelled()


async def test_a_cancelled_verifier_does_not_use_up_the_fetch_for_a_rotated_key(
    server: KeyServer, clock: Clock, keys: JwksKeys
) -> None:
    await old(keys)
    server.body = key_set(jwk(NEW, "new"))
    clock.move(COOLDOWN_S)
    server.gate.clear()
    server.asked.clear()
    first = asyncio.create_task(keys.key("new", "EdDSA"))
    async with asyncio.timeout(BOUND_S):
        await server.asked.wait()
        first.cancel()
        server.gate.set()
        assert await keys.key("new", "EdDSA") == NEW.public_key()


async def test_nothing_runs_on_once_every_verifier_has_gone(
    server: KeyServer, keys: JwksKeys
) -> None:
    server.gate.clear()
    tasks = [asyncio.create_task(old(keys)) for _ in range(3)]
    async with asyncio.timeout(BOUND_S):
        await server.asked.wait()
        ours = asyncio.all_tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    server.gate.set()
    await settled()
    assert all(task.cancelled() for task in tasks)
    assert asyncio.all_tasks() <= ours - set(tasks)


async def test_a_slow_server_is_given_up_after_the_whole_time(
    server: KeyServer, clock: Clock
) -> None:
    server.gate.clear()
    keys = JwksKeys(server.url, monotonic=clock.monotonic, timeout=0.05)
    async with asyncio.timeout(BOUND_S):
        await is_unavailable(keys, "TimeoutError")


async def test_a_body_without_end_is_cut_off(server: KeyServer, keys: JwksKeys) -> None:
    server.head = "HTTP/1.1 200 OK\r\n\r\n"
    server.body += b" " * 256 * 1024
    await is_unavailable(keys, "more than 262144 bytes")


async def test_a_body_of_the_greatest_size_is_read(server: KeyServer, keys: JwksKeys) -> None:
    server.body = server.body.ljust(256 * 1024)
    assert await old(keys) == OLD.public_key()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>login</html>",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[null,1,"x",[]]}',
        b'{"keys":[],"keys":[]}',
        b"[" * 200_000,
        b'{"keys":' + b"[" * 200_000,
        b"\xff\xfe",
        key_set({"kty": "oct", "k": "A" * 43, "kid": "old"}),
        key_set(jwk(OLD, "old", use="enc")),
    ],
    ids=range(13),
)
async def test_a_body_that_is_no_key_set_leaves_the_old_keys(
    server: KeyServer, clock: Clock, keys: JwksKeys, body: bytes
) -> None:
    good, server.body = server.body, body
    await is_unavailable(keys)
    server.body = good
    clock.move(COLD_COOLDOWN_S)
    await old(keys)
    server.body = body
    clock.move(SOFT_EXPIRY_S)
    assert await old(keys) == OLD.public_key()
    assert keys.failure is not None


@pytest.mark.parametrize(
    "bad", [{"kty": "oct"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": 1}, {"kty": [1]}]
)
async def test_one_bad_key_does_not_cost_the_good_ones(
    server: KeyServer, keys: JwksKeys, bad: Json
) -> None:
    server.body = json.dumps({"keys": [bad, None, jwk(OLD, "old")]}).encode()
    assert await old(keys) == OLD.public_key()


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 302 Found\r\nLocation: /jwks.json\r\nContent-Length: {length}\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: {length}\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "",
    ],
)
async def test_an_answer_that_is_not_whole_and_direct_is_a_failure(
    server: KeyServer, keys: JwksKeys, head: str
) -> None:
    server.head = head
    await is_unavailable(keys)
    assert server.requests == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://clerk.example.org/.well-known/jwks.json",
        "http://localhost:8080/jwks",
        "http://127.0.0.1/jwks",
        "http://[::1]/jwks",
    ],
)
def test_keys_come_by_https_or_from_this_machine(url: str, clock: Clock) -> None:
    assert JwksKeys(url, monotonic=clock.monotonic).failure is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "jwks.json",
        "https://",
        "http://clerk.example.org/jwks",
        "http://localhost.example.org/jwks",
        "http://127.0.0.1.example.org/jwks",
        "http://localhost@example.org/jwks",
        "file:///etc/passwd",
        "ftp://localhost/jwks",
    ],
)
def test_keys_come_from_nowhere_else(url: str, clock: Clock) -> None:
    with pytest.raises(ValueError, match="https"):
        JwksKeys(url, monotonic=clock.monotonic)
