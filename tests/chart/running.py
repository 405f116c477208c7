"""The gateway started with what the chart renders: `portunus start` below a folder that stands for the container's root."""

import json
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from cases import MINTED
from support import gateway, merged, render

PATIENCE = 20


def free_ports(count):
    """TCP ports that nobody has just now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [item.getsockname()[1] for item in held]
    for item in held:
        item.close()
    return ports


def fetch(url, body=None):
    """Status and JSON or text. Certificates here are nobody's."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    data = None if body is None else json.dumps(body).encode()
    try:
        with opener.open(urllib.request.Request(url, data), timeout=5) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


@unittest.skipUnless(gateway(), "no gateway is built: PORTUNUS_BIN names one")
@unittest.skipUnless(shutil.which("openssl"), "no openssl here")
class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.session, cls.admin, cls.metrics, cls.media = free_ports(4)
        values = {
            "janus": {"sessionPort": cls.session, "adminPort": cls.admin, "rooms": {"calls": {"description": "Calls"}}},
            "metrics": {"port": cls.metrics},
            "media": {"port": cls.media},
            "samples": {"enabled": False},
        }
        cls.case = render(merged(MINTED, values))
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="portunus-chart-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name in ("janus/bin/janus-recordings", "janus/etc/janus_host", "janus/html", "etc/certs", "html"):
            (cls.folder / name).mkdir(parents=True)
        (cls.folder / "janus/html/index.html").write_text("samples")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
            + ["-subj", "/CN=gw", "-keyout", cls.folder / "etc/certs/privkey.pem"]
            + ["-out", cls.folder / "etc/certs/fullchain.pem"],
            check=True,
            capture_output=True,
        )
        for name, text in cls.case.files.items():
            for place in ("/etc/certs/", "/janus/bin/"):
                text = text.replace(f'"{place}', f'"{cls.folder}{place}')
            (cls.folder / "janus/etc/janus_host" / name).write_text(text)
        cls.start()

    @classmethod
    def start(cls):
        # Loopback, as nothing here is for others.
        here = {"PORTUNUS_METRICS_IP": "127.0.0.1", "PORTUNUS_HTTP_SECURE_IP": "127.0.0.1"}
        here["PORTUNUS_CONTAINER_ROOT"] = str(cls.folder)
        log = open(cls.folder / "log", "wb")
        cls.process = subprocess.Popen(
            [gateway(), "start"], env={**cls.case.environment(), **here}, stdout=log, stderr=subprocess.STDOUT
        )
        log.close()
        cls.addClassCleanup(cls.end)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and cls.process.poll() is None:
            try:
                cls.ready = fetch(f"http://127.0.0.1:{cls.metrics}/readyz")
                if cls.ready[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"not ready: {(cls.folder / 'log').read_text()}")

    @classmethod
    def end(cls):
        if cls.process.poll() is None:
            cls.process.kill()
        cls.process.wait()

    def ask(self, path, **body):
        return fetch(f"https://127.0.0.1:{self.session}/janus{path}", {"transaction": "t", **body})[1]

    def test_it_says_which_pod_it_is(self):
        status, info = fetch(f"https://127.0.0.1:{self.session}/janus/info")
        self.assertEqual((status, info["server-name"]), (200, "gw-portunus-0"))

    def test_the_generated_admin_secret_opens_the_admin_api_and_no_other_does(self):
        url = f"https://127.0.0.1:{self.admin}/admin"
        request = {"janus": "get_status", "transaction": "t"}
        secret = self.case.secret_data("gw-portunus")["admin-secret"]
        self.assertEqual(fetch(url, {**request, "admin_secret": secret})[1]["janus"], "success")
        self.assertEqual(fetch(url, {**request, "admin_secret": "janusoverlord"})[1]["janus"], "error")

    def test_the_admin_api_is_on_loopback_only(self):
        addresses = {item[4][0] for item in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
        for address in addresses - {"127.0.0.1"}:
            with self.subTest(address=address), self.assertRaises(OSError):
                socket.create_connection((address, self.admin), timeout=2).close()

    def test_the_generated_secret_of_a_room_is_needed_to_edit_it(self):
        session = self.ask("", janus="create")["data"]["id"]
        handle = self.ask(f"/{session}", janus="attach", plugin="janus.plugin.videoroom")["data"]["id"]

        def edit(secret):
            body = {"request": "edit", "room": "calls", "new_description": "Edited", "secret": secret}
            return self.ask(f"/{session}/{handle}", janus="message", body=body)["plugindata"]["data"]

        self.assertEqual(edit("wrong")["error_code"], 433)
        self.assertEqual(edit("${ROOM_0_SECRET}")["error_code"], 433)
        self.assertEqual(edit(self.case.secret_data("gw-portunus")["room-calls-secret"])["videoroom"], "edited")
        self.ask(f"/{session}", janus="destroy")

    def test_clients_are_told_stunners_listeners_with_credentials_of_their_own(self):
        status, answer = fetch(f"https://127.0.0.1:{self.session}/janus/ice-servers")
        self.assertEqual((status, answer["iceTransportPolicy"], answer["ttl"]), (200, "relay", 86400))
        (server,) = answer["iceServers"]
        self.assertEqual(server["urls"], ["turn:turn.example.org:3478?transport=udp"])
        self.assertRegex(server["username"], r"^\d+:portunus$")

    def test_samples_that_are_off_are_off(self):
        self.assertEqual(fetch(f"https://127.0.0.1:{self.session}/demos/")[0], 404)

    def test_zz_it_ends_by_itself_when_there_are_no_calls(self):
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(timeout=10), 0, (self.folder / "log").read_text())
        self.assertLess(time.monotonic() - began, 5)
        self.assertNotIn(self.case.secret_data("gw-portunus")["admin-secret"], (self.folder / "log").read_text())
