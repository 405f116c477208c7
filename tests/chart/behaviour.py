"""What the chart promises: which settings lead to which gateway."""

import json
import unittest

import yaml

from cases import ADMIN, CASES, COLLECTOR, COMMUNITY, INGRESS, LISTENERS, MINTED, PUBLIC, STATIC, STUNNER, every_case, those
from support import MARK, ROOT, check_config, gateway, merged, render


class Ingress(unittest.TestCase):
    def test_connections_with_one_value_come_to_one_pod_when_asked_for(self):
        def annotations(values):
            return render(values).one("Ingress")["metadata"].get("annotations")

        key = "nginx.ingress.kubernetes.io/upstream-hash-by"
        self.assertEqual(annotations(CASES["ingress, several pods"]), {key: "$arg_group", "a": "b"})
        self.assertEqual(annotations(merged(INGRESS, {"ingress": {"sameValueSamePod": "team"}})), {key: "$arg_team"})
        self.assertEqual(annotations(merged(INGRESS, {"ingress": {"annotations": {"a": "b"}}})), {"a": "b"})
        self.assertIsNone(annotations(INGRESS))


    def test_the_page_of_recordings_is_led_to_when_it_is_on(self):
        def paths(values):
            return [path["path"] for path in render(values).one("Ingress")["spec"]["rules"][0]["http"]["paths"]]

        on = {"recordings": {"page": {"enabled": True}}}
        self.assertEqual(paths(INGRESS), ["/janus", "/demos", "/ws"])
        self.assertEqual(paths(merged(INGRESS, on)), ["/janus", "/demos", "/recordings", "/ws"])
        for values, led in ((CASES["nginx"], False), (merged(CASES["nginx"], on), True)):
            host = render(values).get("ConfigMap", "gw-portunus-nginx")["data"]["default.conf"]
            self.assertEqual("location /recordings {" in host, led)

    def test_the_collector_is_reached_at_the_port_of_its_pods(self):
        def ports(values):
            rules = render(values).get("NetworkPolicy", "gw-portunus")["spec"]["egress"]
            return [entry.get("port") for rule in rules for entry in rule["ports"]]

        self.assertIn(8443, ports(COLLECTOR))
        other = ports(merged(COLLECTOR, {"networkPolicy": {"eventCollectorPort": 8081}}))
        self.assertIn(8081, other)
        self.assertNotIn(8443, other)


class Media(unittest.TestCase):
    def mode(self, values):
        case = render(values)
        service = case.get("Service", "gw-portunus-media")
        public = next((item for item in case.container()["env"] if item["name"] == "PUBLIC_IP"), {})
        return {
            "service": service and ("headless" if service["spec"].get("clusterIP") == "None" else service["spec"]["type"]),
            "lite": case.setting("ice_lite") == "true",
            "stun": case.setting("stun_server"),
            "public": public.get("value") or public.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"),
            "strategy": case.one("Deployment")["spec"]["strategy"]["type"],
        }

    def test_with_a_public_address_the_port_is_published_there_and_the_gateway_sends_no_checks(self):
        expected = {"service": "LoadBalancer", "lite": True, "stun": None, "public": "203.0.113.10", "strategy": "Recreate"}
        self.assertEqual(self.mode(PUBLIC), expected)
        service = render(PUBLIC).get("Service", "gw-portunus-media")["spec"]
        self.assertEqual((service["loadBalancerIP"], service["externalTrafficPolicy"]), ("203.0.113.10", "Local"))

    def test_without_one_it_asks_its_stun_server_and_holds_its_candidates(self):
        expected = {"service": None, "lite": False, "stun": "stun.l.google.com", "public": None, "strategy": "RollingUpdate"}
        self.assertEqual(self.mode({}), expected)
        self.assertEqual(render({}).setting("trickle_hold_ms"), "100")
        self.assertIsNone(render(PUBLIC).setting("trickle_hold_ms"))

    def test_a_node_port_is_the_port_of_the_candidates(self):
        values = CASES["node port"]
        expected = {"service": "NodePort", "lite": True, "stun": None, "public": "status.hostIP", "strategy": "Recreate"}
        self.assertEqual(self.mode(values), expected)
        self.assertEqual(render(values).setting("udp_port"), "30100")

    def test_a_host_port_needs_no_service_and_takes_the_address_of_its_node(self):
        values = CASES["host port, three pods"]
        expected = {"service": None, "lite": True, "stun": None, "public": "status.hostIP", "strategy": "Recreate"}
        self.assertEqual(self.mode(values), expected)

    def test_with_stunner_the_gateway_has_no_stun_no_turn_and_no_public_address(self):
        expected = {"service": "headless", "lite": True, "stun": None, "public": None, "strategy": "RollingUpdate"}
        for values in (STUNNER, MINTED, merged(PUBLIC, STUNNER)):
            self.assertEqual(self.mode(values), expected)
        self.assertNotIn("turn_server", render(STUNNER).files["janus.jcfg"])

    def test_a_claim_for_one_node_is_not_waited_for_by_two_pods(self):
        self.assertEqual(self.mode(CASES["claim"])["strategy"], "Recreate")
        self.assertEqual(self.mode(CASES["claim for many"])["strategy"], "RollingUpdate")
        self.assertEqual(self.mode(merged(CASES["claim"], {"strategy": "rollingUpdate"}))["strategy"], "RollingUpdate")


class Stunner(unittest.TestCase):
    def test_credentials_are_ephemeral_and_random(self):
        first, second = render(MINTED, "a").secret_data("gw-portunus-turn"), render(MINTED, "b").secret_data("gw-portunus-turn")
        self.assertEqual(set(first), {"type", "secret"})
        self.assertEqual(first["type"], "ephemeral")
        self.assertEqual(len(first["secret"]), 40)
        self.assertNotEqual(first["secret"], second["secret"])

    def test_the_gateway_mints_with_the_secret_that_stunner_has(self):
        case = render(MINTED)
        self.assertEqual(case.environment()["PORTUNUS_ICE_SERVERS_SECRET"], case.secret_data("gw-portunus-turn")["secret"])
        self.assertEqual(case.one("GatewayConfig")["spec"]["authRef"]["name"], "gw-portunus-turn")
        self.assertEqual(case.setting("policy"), "relay")

    def test_static_credentials_are_those_that_stunner_has(self):
        case = render(STATIC)
        variables, secret = case.environment(), case.secret_data("gw-portunus-turn")
        self.assertEqual(secret, {"type": "static", "username": "portunus", "password": f"{MARK}-turn"})
        self.assertEqual(variables["PORTUNUS_ICE_SERVERS_USERNAME"], "portunus")
        self.assertEqual(variables["PORTUNUS_ICE_SERVERS_CREDENTIAL"], f"{MARK}-turn")
        self.assertNotIn("PORTUNUS_ICE_SERVERS_SECRET", variables)

    def test_the_auth_service_is_asked_for_this_gateway_and_needs_no_secret(self):
        case = render(STUNNER)
        self.assertEqual(
            case.setting("auth_service"), "http://stunner-auth.stunner-system.svc.cluster.local:8088/ice?service=turn"
        )
        self.assertEqual((case.setting("auth_namespace"), case.setting("auth_gateway")), ("calls", "gw-portunus-turn"))
        self.assertIsNone(case.setting("urls"))
        self.assertFalse([name for name in case.environment() if name.startswith("PORTUNUS_ICE_SERVERS")])

    def test_clients_are_told_every_listener(self):
        urls = json.loads(render(CASES["stunner, all listeners"]).setting("urls"))
        self.assertEqual(
            urls,
            [
                "turn:turn.example.org:3478?transport=udp",
                "turn:turn.example.org:3478?transport=tcp",
                "turns:turn.example.org:443?transport=tcp",
                "turns:turn.example.org:443?transport=udp",
            ],
        )
        self.assertEqual(
            json.loads(render(CASES["stunner, IPv6"]).setting("urls")), ["turn:[2001:db8::12]:3478?transport=udp"]
        )

    def test_a_gateway_of_several_protocols_says_so(self):
        key = "stunner.l7mp.io/enable-mixed-protocol-lb"
        self.assertEqual(render(merged(MINTED, LISTENERS)).one("Gateway")["metadata"]["annotations"][key], "true")
        self.assertNotIn("annotations", render(MINTED).one("Gateway")["metadata"])

    def test_a_class_of_ones_own_makes_neither_class_nor_config_nor_secret(self):
        case = render(CASES["stunner, class of one's own"])
        self.assertEqual((case.of("GatewayClass"), case.of("GatewayConfig")), ([], []))
        self.assertIsNone(case.get("Secret", "gw-portunus-turn"))


class Pods(unittest.TestCase):
    def test_only_a_change_of_settings_or_secrets_replaces_pods(self):
        def annotations(values):
            return render(values).pod["metadata"]["annotations"]

        base = annotations(ADMIN)
        self.assertNotEqual(annotations(merged(ADMIN, {"janus": {"debugLevel": 5}})), base)
        self.assertNotEqual(annotations(merged(ADMIN, {"janus": {"adminSecret": f"{MARK}-new"}})), base)
        self.assertEqual(annotations(merged(ADMIN, {"service": {"annotations": {"a": "b"}}})), base)
        nginx = annotations(CASES["nginx"])
        self.assertNotEqual(annotations(merged(CASES["nginx"], {"nginx": {"httpsPort": 444}})), nginx)

    @every_case
    def test_what_is_generated_replaces_no_pods(self, case):
        again = type(case)(case.name, case.values)
        self.assertEqual(case.without_secrets(), again.without_secrets())

    def test_scaling_down_is_slow(self):
        scaler = render(CASES["scaling"]).one("HorizontalPodAutoscaler")["spec"]
        self.assertEqual(
            scaler["behavior"]["scaleDown"],
            {"stabilizationWindowSeconds": 600, "policies": [{"type": "Pods", "value": 1, "periodSeconds": 300}]},
        )
        names = [metric["resource"]["name"] if metric["type"] == "Resource" else metric["pods"]["metric"]["name"] for metric in scaler["metrics"]]
        self.assertEqual(names, ["cpu", "portunus_handles"])

    def test_metrics_that_the_chart_names_exist(self):
        self.assertIn("`portunus_handles`", (ROOT / "docs/metrics.md").read_text())
        rules = yaml.safe_load((ROOT / "docs/monitoring/alerts.yml").read_text())
        self.assertIn('job="portunus"', json.dumps(rules).replace("\\", ""))

    def test_nginx_opens_a_low_port_without_rights(self):
        sysctls = render(CASES["nginx"]).pod["spec"]["securityContext"]["sysctls"]
        self.assertEqual(sysctls, [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "443"}])
        self.assertNotIn("sysctls", render(CASES["nginx, high port"]).pod["spec"]["securityContext"])

    def test_more_than_one_pod_comes_with_a_warning(self):
        self.assertIn("error 458", render(CASES["host port, three pods"]).notes)
        self.assertIn("error 458", render(CASES["scaling"]).notes)
        self.assertNotIn("error 458", render({}).notes)


class Settings(unittest.TestCase):
    def test_the_event_collector_is_on_with_its_three_values(self):
        case, file = render(COLLECTOR), "janus.eventhandler.sampleevh.jcfg"
        self.assertEqual(case.setting("broadcast"), "true")
        settings = {key: case.setting(key, file) for key in ("enabled", "events", "grouping", "json", "backend", "backend_user")}
        self.assertEqual(
            settings,
            {
                "enabled": "true",
                "events": "core,sessions",
                "grouping": "true",
                "json": "indented",
                "backend": "https://events.example.org:8443/janus",
                "backend_user": "me",
            },
        )
        self.assertEqual(case.environment()["PORTUNUS_SAMPLEEVH_BACKEND_PWD"], f"{MARK}-events")
        self.assertEqual(render({}).setting("broadcast"), "false")
        self.assertNotIn(file, render({}).files)

    def test_a_token_secret_asks_for_signed_tokens(self):
        case = render(CASES["tokens"])
        self.assertEqual(case.setting("token_auth"), "true")
        self.assertEqual(case.environment()["PORTUNUS_GENERAL_TOKEN_AUTH_SECRET"], f"{MARK}-token")
        self.assertIsNone(render({}).setting("token_auth"))

    def test_values_of_the_communitys_chart_mean_what_they_meant(self):
        case = render(COMMUNITY)
        self.assertEqual(case.container()["image"], "registry.example.org/project/janus:latest")
        volume = next(item for item in case.pod["spec"]["volumes"] if item["name"] == "recordings")
        self.assertEqual(volume["csi"]["volumeAttributes"]["shareName"], "recordings")
        self.assertEqual(case.get("Service", "gw-portunus")["spec"]["loadBalancerIP"], "203.0.113.10")
        self.assertEqual(case.environment()["ADMIN_SECRET"], f"{MARK}-admin")
        self.assertEqual(case.environment()["RUN_WITH_HOST_CONFIGURATION_DIR"], "true")
        self.assertEqual(case.setting("full_trickle"), "true")
        self.assertEqual(case.setting("configs_folder"), "/janus/etc/janus_host")
        # It recorded without being asked.
        self.assertEqual(case.setting("record", "janus.plugin.videoroom.jcfg"), "false")

    def test_rooms_keep_what_was_said_of_them(self):
        case = render(CASES["rooms"])
        text = case.files["janus.plugin.videoroom.jcfg"]
        variables = case.environment()
        self.assertIn('secret = "${ROOM_0_SECRET}"', text)
        self.assertIn('pin = "${ROOM_0_PIN}"', text)
        self.assertEqual((variables["ROOM_0_SECRET"], variables["ROOM_0_PIN"]), (f"{MARK}-room", f"{MARK}-pin"))
        self.assertIn('description = "A \\"quoted\\" \\\\ name"', text)
        self.assertIn('allowed = [ "a", "b" ]', text)
        self.assertEqual(len(variables["ROOM_1_SECRET"]), 40)

    def test_a_secret_of_ones_own_is_used_and_none_is_made(self):
        case = render(CASES["secret of one's own"])
        self.assertEqual(set(case.secret_data("gw-portunus")), {"room-1234-secret"})
        self.assertEqual(case.environment()["ADMIN_SECRET"], "theirs-admin-secret")
        self.assertEqual(case.environment()["PORTUNUS_SAMPLEEVH_BACKEND_PWD"], "theirs-event-password")


@unittest.skipUnless(gateway(), "no gateway is built: PORTUNUS_BIN names one")
class Gateway(unittest.TestCase):
    @every_case
    def test_it_understands_the_files_and_the_environment(self, case):
        self.assertEqual(check_config(case), [])

    def test_a_mistake_in_the_files_would_be_seen(self):
        case = type(render({}))("broken", {})
        case.files["janus.jcfg"] += "nat: { nosuch = 1 };\n"
        self.assertTrue(check_config(case))

    def test_the_environment_is_looked_at(self):
        case = type(render({}))("broken", {"extraEnv": [{"name": "PORTUNUS_NAT_STUN_PORT", "value": "none"}]})
        self.assertTrue(any("PORTUNUS_NAT_STUN_PORT" in line for line in check_config(case)))

    @those(lambda case: case.setting("debug_level"))
    def test_the_folder_of_the_files_is_the_one_they_name(self, case):
        mounts = {mount["name"]: mount["mountPath"] for mount in case.container()["volumeMounts"]}
        self.assertEqual(mounts["config"], case.setting("configs_folder"))
