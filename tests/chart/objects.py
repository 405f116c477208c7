"""What holds for the objects of every case."""

import json
import re
import shutil
import subprocess
import tempfile
import unittest

import helm_python as helm

from cases import CASES, EXTERNAL, every_case
from support import CHART, KUBERNETES, MARK, NAMESPACE, chart, render, selects, validate

PUBLIC_TYPES = ("LoadBalancer", "NodePort")


class EveryCase(unittest.TestCase):
    def test_strict_lint_finds_nothing(self):
        oldest, newest = KUBERNETES
        for name, version in [("defaults", oldest), *((name, newest) for name in CASES)]:
            with self.subTest(case=name, version=version):
                options = {"strict": True, "namespace": NAMESPACE, "kube_version": f"v{version}.0"}
                report = helm.lint(str(CHART), CASES[name], **options)
                # That an icon would be nice is said of every chart without one.
                said = [line for line in report["messages"] if "icon is recommended" not in line["error"]]
                self.assertEqual((report["total_charts_linted"], said, report["errors"]), (1, [], []))

    @every_case
    def test_objects_are_valid_for_the_oldest_and_the_newest_kubernetes(self, case):
        for item in case.objects:
            for version in KUBERNETES:
                with self.subTest(object=f"{item['kind']}/{item['metadata']['name']}", version=version):
                    validate(item, version)

    def test_names_are_unique_and_short_enough_also_with_a_long_release(self):
        long = "a-release-whose-name-is-as-long-as-helm-lets-it-be-53"
        self.assertEqual(len(long), 53)
        for name in ("defaults", "stunner, all at once", "claim", "nginx"):
            for release in ("gw", long):
                with self.subTest(case=name, release=release):
                    objects = render(CASES[name], name, release).objects
                    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
                    self.assertEqual(len(names), len(set(names)))
                    for _, text in names:
                        self.assertRegex(text, r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")

    @every_case
    def test_the_admin_api_is_on_no_service_but_its_own(self, case):
        port = case.setting("admin_secure_port", "janus.transport.http.jcfg") or case.setting(
            "admin_port", "janus.transport.http.jcfg"
        )
        numbers = {7889, int(port or 7889)}
        asked = case.values.get("admin", {}).get("service", {}).get("enabled", False)
        for service in case.of("Service"):
            offered = {entry["port"] for entry in service["spec"]["ports"]}
            offered |= {entry["targetPort"] for entry in service["spec"]["ports"]}
            if offered & (numbers | {"janus-admin"}):
                self.assertTrue(asked and service["metadata"]["name"].endswith("-admin"), service)
                self.assertEqual(service["spec"]["type"], "ClusterIP")
        self.assertNotIn("janus-admin", json.dumps(case.of("Ingress")))
        address = case.setting("admin_secure_ip", "janus.transport.http.jcfg") or case.setting(
            "admin_ip", "janus.transport.http.jcfg"
        )
        if port and not asked:
            self.assertEqual(address, "127.0.0.1")
            self.assertNotIn("janus-admin", [entry["name"] for entry in case.container()["ports"]])

    @every_case
    def test_metrics_and_health_are_on_no_public_service(self, case):
        for service in case.of("Service"):
            if service["spec"]["type"] in PUBLIC_TYPES:
                for entry in service["spec"]["ports"]:
                    self.assertNotIn("metrics", (entry["name"], entry["targetPort"]))
                    self.assertNotEqual(entry["port"], 8086)
        self.assertNotIn("metrics", json.dumps(case.of("Ingress")))

    @every_case
    def test_secrets_are_in_secrets_and_nowhere_else(self, case):
        elsewhere = case.without_secrets()
        self.assertNotIn(MARK, elsewhere)
        for secret in case.of("Secret"):
            for key, value in case.secret_data(secret["metadata"]["name"]).items():
                if (key, value) not in (("type", "ephemeral"), ("type", "static"), ("username", "portunus")):
                    self.assertGreaterEqual(len(value), 12, key)
                    self.assertNotIn(value, elsewhere, key)

    @every_case
    def test_nothing_has_a_secret_that_everybody_knows(self, case):
        text = json.dumps(case.objects)
        for known in ("janusoverlord", "adminpwd", "pass-1"):
            self.assertNotIn(known, text)
            for secret in case.of("Secret"):
                self.assertNotIn(known, case.secret_data(secret["metadata"]["name"]).values())
        for name in re.findall(r"^room-(\S+):", case.files["janus.plugin.videoroom.jcfg"], re.MULTILINE):
            self.assertTrue(case.secret_data("gw-portunus")[f"room-{name}-secret"])

    @every_case
    def test_containers_have_no_rights(self, case):
        pod = case.pod["spec"]
        self.assertFalse(pod["automountServiceAccountToken"])
        self.assertEqual(
            {key: pod["securityContext"][key] for key in ("runAsNonRoot", "runAsUser", "fsGroup")},
            {"runAsNonRoot": True, "runAsUser": 10001, "fsGroup": 10001},
        )
        self.assertEqual(pod["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            self.assertNotIn(key, pod)
        for container in pod["containers"]:
            expected = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            self.assertEqual(container["securityContext"], expected)
        for account in case.of("ServiceAccount"):
            self.assertFalse(account["automountServiceAccountToken"])

    @every_case
    def test_service_links_do_not_overwrite_settings(self, case):
        # A Service called portunus-metrics would give every pod PORTUNUS_METRICS_PORT=tcp://...
        self.assertFalse(case.pod["spec"]["enableServiceLinks"])

    @every_case
    def test_probes_ask_health_and_readiness_at_a_port_that_is_open(self, case):
        container = case.container()
        ports = {entry["name"]: entry["containerPort"] for entry in container["ports"]}
        for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "metrics"})
        variables = case.environment()
        self.assertEqual(variables["PORTUNUS_METRICS_PORT"], str(ports["metrics"]))
        self.assertEqual(variables["PORTUNUS_METRICS_IP"], "0.0.0.0")

    @every_case
    def test_calls_are_ended_before_the_kill(self, case):
        grace = case.pod["spec"]["terminationGracePeriodSeconds"]
        self.assertEqual(grace, 3600)
        self.assertLess(int(case.setting("drain_timeout_s")), grace)
        self.assertGreater(int(case.setting("drain_timeout_s")), 0)

    @every_case
    def test_pods_have_resources(self, case):
        for container in case.pod["spec"]["containers"]:
            self.assertIn("memory", container["resources"]["limits"])
            self.assertEqual(set(container["resources"]["requests"]), {"cpu", "memory"})

    @every_case
    def test_one_media_port_everywhere(self, case):
        port = int(case.setting("udp_port"))
        self.assertEqual(case.setting("single_port"), "true")
        media = next(entry for entry in case.container()["ports"] if entry["name"] == "media")
        self.assertEqual((media["containerPort"], media["protocol"]), (port, "UDP"))
        self.assertIn(media.get("hostPort"), (None, port))
        service = case.get("Service", "gw-portunus-media")
        if service:
            (entry,) = service["spec"]["ports"]
            self.assertEqual((entry["port"], entry["targetPort"], entry["protocol"]), (port, "media", "UDP"))
            self.assertIn(entry.get("nodePort"), (None, port))
            self.assertTrue(service["spec"]["publishNotReadyAddresses"])
        for route in case.of("UDPRoute"):
            self.assertEqual(route["spec"]["rules"][0]["backendRefs"][0]["port"], port)

    @every_case
    def test_signalling_goes_to_ready_pods_only(self, case):
        self.assertNotIn("publishNotReadyAddresses", case.get("Service", "gw-portunus")["spec"])


class References(unittest.TestCase):
    """Whatever is named is there."""

    def there(self, case, kind, name):
        self.assertTrue(case.get(kind, name) or (kind, name) in EXTERNAL, f"no {kind} {name}")

    @every_case
    def test_selectors_match_the_labels_of_the_pods(self, case):
        labels = case.pod["metadata"]["labels"]
        self.assertTrue(selects(case.one("Deployment")["spec"]["selector"], labels))
        for service in case.of("Service"):
            self.assertTrue(selects({"matchLabels": service["spec"]["selector"]}, labels))
        for budget in case.of("PodDisruptionBudget"):
            self.assertTrue(selects(budget["spec"]["selector"], labels))
            self.assertEqual(budget["spec"]["maxUnavailable"], 1)

    @every_case
    def test_volumes(self, case):
        pod = case.pod["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        self.assertEqual(len(volumes), len(pod["volumes"]))
        mounted = [mount for container in pod["containers"] for mount in container["volumeMounts"]]
        self.assertEqual({mount["name"] for mount in mounted}, set(volumes))
        for volume in volumes.values():
            if "configMap" in volume:
                self.there(case, "ConfigMap", volume["configMap"]["name"])
            if "secret" in volume:
                self.there(case, "Secret", volume["secret"]["secretName"])
            if "csi" in volume:
                self.there(case, "Secret", volume["csi"]["volumeAttributes"]["secretName"])
            if "persistentVolumeClaim" in volume:
                self.there(case, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])

    @every_case
    def test_keys_of_secrets(self, case):
        for item in case.container()["env"]:
            reference = item.get("valueFrom", {}).get("secretKeyRef")
            if reference and not case.get("Secret", reference["name"]):
                self.assertIn(("Secret", reference["name"]), EXTERNAL)
            elif reference:
                self.assertIn(reference["key"], case.secret_data(reference["name"]))
        for secret in case.pod["spec"].get("imagePullSecrets", []):
            self.there(case, "Secret", secret["name"])
        self.there(case, "ServiceAccount", case.pod["spec"]["serviceAccountName"])

    @every_case
    def test_ports_of_services_are_open_in_a_container(self, case):
        open_ports = {
            entry["name"]: entry for container in case.pod["spec"]["containers"] for entry in container["ports"]
        }
        for service in case.of("Service"):
            for entry in service["spec"]["ports"]:
                target = open_ports[entry["targetPort"]]
                self.assertEqual(target["protocol"], entry["protocol"])
                self.assertEqual(target["containerPort"], entry["port"])
        for ingress in case.of("Ingress"):
            for path in ingress["spec"]["rules"][0]["http"]["paths"]:
                backend = path["backend"]["service"]
                names = [entry["name"] for entry in case.get("Service", backend["name"])["spec"]["ports"]]
                self.assertIn(backend["port"]["name"], names)

    @every_case
    def test_listeners_of_the_gateway_are_the_open_ports(self, case):
        http, websockets = "janus.transport.http.jcfg", "janus.transport.websockets.jcfg"
        ports = {entry["name"]: entry["containerPort"] for entry in case.container()["ports"]}
        session = case.setting("secure_port", http) or case.setting("port", http)
        self.assertEqual(int(session), ports["janus-session"])
        websocket = case.setting("wss_port", websockets) or case.setting("ws_port", websockets)
        self.assertEqual(websocket and int(websocket), ports.get("janus-websocket"))
        for key in ("cert_pem", "cert_key"):
            path = case.setting(key, http)
            mounts = {mount["mountPath"]: mount["name"] for mount in case.container()["volumeMounts"]}
            self.assertEqual(path is not None, "/etc/certs" in mounts)
            self.assertTrue(path is None or path.startswith("/etc/certs/"))

    @every_case
    def test_what_the_gateway_writes_to_is_a_volume(self, case):
        mounts = {mount["mountPath"]: mount for mount in case.container()["volumeMounts"]}
        folders = re.findall(r'"([^"]+)"', case.setting("recordings_roots"))
        rooms = re.findall(r'rec_dir = "([^"]+)"', case.files["janus.plugin.videoroom.jcfg"])
        for folder in folders + rooms:
            self.assertIn(folder, mounts)
            self.assertNotIn("readOnly", mounts[folder])

    @every_case
    def test_custom_resources(self, case):
        for gateway in case.of("Gateway"):
            self.there(case, "GatewayClass", gateway["spec"]["gatewayClassName"])
            for listener in gateway["spec"]["listeners"]:
                for reference in listener.get("tls", {}).get("certificateRefs", []):
                    self.there(case, "Secret", reference["name"])
        for kind in case.of("GatewayClass"):
            parameters = kind["spec"]["parametersRef"]
            self.assertEqual(parameters["namespace"], NAMESPACE)
            self.there(case, "GatewayConfig", parameters["name"])
        for config in case.of("GatewayConfig"):
            self.assertEqual(config["spec"]["authRef"]["namespace"], NAMESPACE)
            self.there(case, "Secret", config["spec"]["authRef"]["name"])
        for route in case.of("UDPRoute"):
            self.there(case, "Gateway", route["spec"]["parentRefs"][0]["name"])
            backend = route["spec"]["rules"][0]["backendRefs"][0]
            self.assertEqual(backend["namespace"], NAMESPACE)
            service = case.get("Service", backend["name"])
            self.assertIn(backend["port"], [entry["port"] for entry in service["spec"]["ports"]])
        for scaler in case.of("HorizontalPodAutoscaler"):
            self.there(case, "Deployment", scaler["spec"]["scaleTargetRef"]["name"])
            self.assertNotIn("replicas", case.one("Deployment")["spec"])
        for monitor in case.of("ServiceMonitor"):
            chosen = [
                service
                for service in case.of("Service")
                if selects(monitor["spec"]["selector"], service["metadata"]["labels"])
            ]
            self.assertEqual([service["metadata"]["name"] for service in chosen], ["gw-portunus-metrics"])
            self.assertEqual(chosen[0]["spec"]["ports"][0]["name"], monitor["spec"]["endpoints"][0]["port"])
            # The label whose value becomes `job`, which the alert rules name.
            self.assertEqual(chosen[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]], "portunus")


class Files(unittest.TestCase):
    def test_the_virtual_host_is_one_that_nginx_takes(self):
        nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if not nginx or not shutil.which("openssl"):
            self.skipTest("no nginx and openssl here")
        for name in ("nginx", "nginx, high port"):
            with self.subTest(case=name), tempfile.TemporaryDirectory(prefix="portunus-chart-") as folder:
                case = render(CASES[name], name)
                host = case.get("ConfigMap", "gw-portunus-nginx")["data"]["default.conf"]
                subprocess.run(
                    ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
                    + ["-subj", "/CN=gw", "-keyout", f"{folder}/key", "-out", f"{folder}/cert"],
                    check=True,
                    capture_output=True,
                )
                host = re.sub(r"/etc/certs/(fullchain\.pem|tls\.crt)", f"{folder}/cert", host)
                host = re.sub(r"/etc/certs/(privkey\.pem|tls\.key)", f"{folder}/key", host)
                head = f"pid {folder}/pid;\nerror_log {folder}/log;\nevents {{}}\nhttp {{\naccess_log off;\n"
                with open(f"{folder}/nginx.conf", "w", encoding="utf-8") as file:
                    file.write(f"{head}{host}\n}}\n")
                run = subprocess.run(
                    [nginx, "-t", "-c", f"{folder}/nginx.conf", "-p", folder, "-e", f"{folder}/log"],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                self.assertEqual(run.returncode, 0, run.stderr)
                self.assertIn("listen %d ssl" % case.values["nginx"].get("httpsPort", 443), host)
                self.assertNotRegex(host, r"TLSv1(\.1)?[ ;]")

    def test_the_chart_packs(self):
        with tempfile.TemporaryDirectory(prefix="portunus-chart-") as folder:
            archive = helm.package(str(CHART), destination=folder)
            with helm.Chart.load(archive) as packed:
                self.assertEqual((packed.name, packed.version), (chart().name, chart().version))
                self.assertIsNotNone(packed.schema)
                self.assertEqual(len(packed.templates), len(chart().templates))
