"""Opens as many UDP ports on loopback as it is told to, prints their numbers, and reads none of them.

What comes when their buffers are full is dropped by the kernel, which counts it for each port: a sink that costs no
more than that.
"""

import socket
import sys

# No buffer holds a packet of the second round; the kernel takes more than it is asked for.
BUFFER = 1

sockets = []
for _ in range(int(sys.argv[1])):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    one.bind(("127.0.0.1", 0))
    sockets.append(one)
print(" ".join(str(one.getsockname()[1]) for one in sockets), flush=True)
# Whoever started it closes this, or ends.
sys.stdin.read()
