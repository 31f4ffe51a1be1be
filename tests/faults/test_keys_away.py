"""The server of the key set is away: who is in stays, and a hub that has the keys goes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed

from auth.tokens import sign
from tests.auth.kit import KeyServer, jwk, key_set, private_key
from tests.kit import CASE, MARIA, PRIYA, WITHIN, Address, Identity, running_hub

KEY = private_key("EdDSA")
AWAY = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: {length}\r\n\r\n"


class Signed(Address):
    """A hub that takes the tokens of the key set."""

    def token(self, who: Identity, lifetime: timedelta = timedelta(hours=1)) -> str:
        now = datetime.now(UTC)
        claims: dict[str, Any] = {"sub": who.sub, "tenant_id": who.tenant, "name": who.name}
        claims |= {"iat": int(now.timestamp()), "exp": int((now + lifetime).timestamp())}
        if who.patient_id is None:
            claims["org_role"] = f"org:{who.role}"
        else:
            claims["patient_id"] = who.patient_id
        return sign(claims, KEY, kid="k1")


@contextlib.asynccontextmanager
async def hub_with_keys(folder: Path, server: KeyServer, **options: Any) -> AsyncIterator[Signed]:
    async with running_hub(folder, dev=False, jwks_url=server.url, **options) as hub:
        yield Signed(hub.port, hub.keys)


async def test_a_hub_that_has_the_keys_goes_on_and_one_that_has_not_says_come_back(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    async with KeyServer.running(key_set(jwk(KEY))) as server:
        up = server.head
        async with hub_with_keys(tmp_path, server) as hub, hub.enter(MARIA) as maria:
            server.head = AWAY
            ack = await maria.ask({"type": "message", "key": "k1", "text": "Hello"})
            assert ack["type"] == "ack"
            async with hub.enter(PRIYA) as priya:
                assert priya.events[-1]["data"]["text"] == "Hello"
        async with hub_with_keys(tmp_path, server, open_case=False) as hub:
            async with hub.socket(CASE) as client:
                await client.send({"type": "auth", "token": hub.token(MARIA)})
                assert await client.expect_close() == 4500
                assert client.frames[-1]["reconnect"] is True
            async with hub.rest(MARIA) as rest:
                assert (await rest.get(f"cases/{CASE}")).status_code == 503
            server.head = up
            await let_in(hub)


async def let_in(hub: Signed) -> None:
    """Come back until the hub has the keys."""
    async with asyncio.timeout(WITHIN):
        while True:
            with contextlib.suppress(AssertionError, ConnectionClosed):
                async with hub.enter(MARIA):
                    return
            await asyncio.sleep(0.1)
