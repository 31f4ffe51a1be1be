import asyncio, time, json
from tests.faults.test_stalled_peer import *
import fcntl, termios, struct
async def test_rate(tmp_path):
    async with running_hub(tmp_path, stall_s=60, heartbeat_s=2) as hub, Peer.in_room(hub) as peer:
        for number in range(700):
            await say(hub, str(number))
        conn = next(iter(hub.server.server_state.connections))
        sock = conn.transport.get_extra_info("socket")
        outq = lambda: struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0"*4))[0]
        total=0; t0=time.time(); last=held(hub); tl=t0
        print("held", last, "outq", outq(), "sndbuf", sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF))
        lo = outq()
        while time.time()-t0<20:
            total+=len(await peer.receive())
            await asyncio.sleep(0.001)
            if held(hub)!=last:
                print(f"{time.time()-t0:.2f} gap {time.time()-tl:.2f} held {held(hub)} outq {outq()} rate {total/(time.time()-t0)/1000:.0f} KB/s"); last=held(hub); tl=time.time()
