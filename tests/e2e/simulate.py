import asyncio, sys, signal
from pws_soap.simulator import serve, NodeAddress
port, control, *tls = sys.argv[1:]
async def main():
    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    await serve(nodes=[NodeAddress(port=int(port))], control_port=int(control), tls=tuple(tls) or None)
try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
