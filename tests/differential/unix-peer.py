"""A client of Unix sockets of packets, for Node.js, which has none.

unix-peer.py SEQPACKET|DGRAM PATH [OWN PATH]: each line of the input is a JSON string, sent as one packet; each packet that
comes is told as a line. A connection that the other side ends is told as `null`.
"""

import json
import os
import socket
import sys
import threading

kind, path, *own = sys.argv[1:]
peer = socket.socket(socket.AF_UNIX, getattr(socket, f"SOCK_{kind}"))
if own:
    peer.bind(own[0])
peer.connect(path)


def tell():
    while True:
        try:
            packet = peer.recv(1 << 20)
        except OSError:
            packet = b""
        print(json.dumps(packet.decode() if packet else None), flush=True)
        if not packet:
            return


threading.Thread(target=tell, daemon=True).start()
for line in sys.stdin:
    peer.send(json.loads(line).encode("utf-8", "surrogateescape"))
os._exit(0)
