"""Who may reach whom, by the NetworkPolicies."""

import unittest

from cases import those
from support import NAMESPACE, selects

HOME = {"kubernetes.io/metadata.name": NAMESPACE}
SYSTEM = {"kubernetes.io/metadata.name": "kube-system"}
ELSEWHERE = {"kubernetes.io/metadata.name": "elsewhere"}


class Pod:
    def __init__(self, namespace, labels):
        self.namespace = namespace
        self.labels = labels


TURN = Pod(
    HOME,
    {
        "app": "stunner",
        "stunner.l7mp.io/related-gateway-name": "gw-portunus-turn",
        "stunner.l7mp.io/related-gateway-namespace": NAMESPACE,
        "stunner.l7mp.io/owned-by": "stunner",
    },
)
OTHERS = {
    "TURN of another gateway": Pod(HOME, {**TURN.labels, "stunner.l7mp.io/related-gateway-name": "other"}),
    "another release": Pod(
        HOME,
        {
            "app.kubernetes.io/name": "portunus",
            "app.kubernetes.io/instance": "gw2",
            "app.kubernetes.io/component": "gateway",
        },
    ),
    "another application": Pod(HOME, {"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "gw"}),
    "a pod elsewhere": Pod(ELSEWHERE, {"app": "redis"}),
    "names": Pod(SYSTEM, {"k8s-app": "kube-dns"}),
    "STUNner's operator": Pod({"kubernetes.io/metadata.name": "stunner-system"}, {"app": "stunner-auth"}),
    "Prometheus": Pod({"kubernetes.io/metadata.name": "monitoring"}, {"app": "prometheus"}),
    "the Ingress": Pod({"kubernetes.io/metadata.name": "ingress-nginx"}, {"app": "ingress"}),
    "an operator": Pod(HOME, {"role": "operator"}),
}
INTERNET = None


def peers(rule, key, pod):
    """Whether a rule is about this pod; about the internet, if it is None."""
    if key not in rule:
        return True
    for peer in rule[key]:
        if "ipBlock" in peer:
            if pod is INTERNET:
                return True
            continue
        if pod is INTERNET:
            continue
        home = pod.namespace == HOME
        named = selects(peer["namespaceSelector"], pod.namespace) if "namespaceSelector" in peer else home
        if named and selects(peer.get("podSelector", {}), pod.labels):
            return True
    return False


def allowed(policy, direction, pod, port, protocol="TCP"):
    key = {"ingress": "from", "egress": "to"}[direction]
    for rule in policy["spec"].get(direction, []):
        ports = rule.get("ports")
        fits = not ports or any(
            entry["protocol"] == protocol and entry.get("port", port) == port and "endPort" not in entry for entry in ports
        )
        if fits and peers(rule, key, pod):
            return True
    return False


def held(case):
    return bool(case.of("NetworkPolicy"))


class Policies(unittest.TestCase):
    def own(self, case):
        return case.get("NetworkPolicy", "gw-portunus")

    def everybody(self):
        return {"TURN": TURN, "internet": INTERNET, **OTHERS}.items()

    @those(held)
    def test_they_select_our_pods_and_no_others(self, case):
        gateway = Pod(HOME, case.pod["metadata"]["labels"])
        for policy in case.of("NetworkPolicy"):
            mine = TURN if policy["metadata"]["name"].endswith("-turn") else gateway
            for name, pod in {"gateway": gateway, "TURN": TURN, **OTHERS}.items():
                if pod.namespace == HOME:
                    self.assertEqual(selects(policy["spec"]["podSelector"], pod.labels), pod is mine, name)

    @those(held)
    def test_both_directions_are_held(self, case):
        self.assertEqual(self.own(case)["spec"]["policyTypes"], ["Ingress", "Egress"])
        for policy in case.of("NetworkPolicy"):
            self.assertIn("Egress", policy["spec"]["policyTypes"])
            for direction in ("ingress", "egress"):
                for rule in policy["spec"].get(direction, []):
                    self.assertTrue(rule.get("ports"), "a rule for all ports")

    @those(held)
    def test_the_admin_api_is_reached_by_those_named_and_by_nobody_else(self, case):
        asked = case.values.get("admin", {}).get("service", {}).get("enabled", False)
        for name, pod in self.everybody():
            reached = allowed(self.own(case), "ingress", pod, 7889)
            self.assertEqual(reached, asked and name == "an operator", name)

    @those(lambda case: held(case) and case.of("Gateway"))
    def test_with_stunner_media_comes_from_its_turn_servers_only(self, case):
        for name, pod in self.everybody():
            self.assertEqual(allowed(self.own(case), "ingress", pod, 10000, "UDP"), pod is TURN, name)

    @those(lambda case: held(case) and not case.of("Gateway"))
    def test_without_stunner_media_comes_from_anywhere(self, case):
        self.assertTrue(allowed(self.own(case), "ingress", INTERNET, int(case.setting("udp_port")), "UDP"))

    @those(lambda case: held(case) and case.of("Gateway"))
    def test_turn_servers_relay_to_the_media_port_only(self, case):
        policy = case.get("NetworkPolicy", "gw-portunus-turn")
        gateway = Pod(HOME, case.pod["metadata"]["labels"])
        self.assertTrue(allowed(policy, "egress", gateway, 10000, "UDP"))
        for port, protocol in ((8089, "TCP"), (7889, "TCP"), (8086, "TCP"), (10001, "UDP")):
            self.assertFalse(allowed(policy, "egress", gateway, port, protocol))
        for name, pod in self.everybody():
            self.assertFalse(allowed(policy, "egress", pod, 10000, "UDP"), name)
            self.assertFalse(allowed(policy, "egress", pod, 443), name)
        # Without these it would not know what to serve.
        self.assertTrue(allowed(policy, "egress", OTHERS["STUNner's operator"], 13478))
        self.assertTrue(allowed(policy, "egress", OTHERS["names"], 53, "UDP"))

    @those(lambda case: held(case) and case.of("Ingress"))
    def test_the_janus_api_behind_an_ingress_is_for_its_controller(self, case):
        for name, pod in self.everybody():
            for port in (8089, 8989):
                self.assertEqual(allowed(self.own(case), "ingress", pod, port), name == "the Ingress", name)

    @those(lambda case: held(case) and not case.of("Ingress"))
    def test_the_janus_api_without_an_ingress_is_for_all(self, case):
        self.assertTrue(allowed(self.own(case), "ingress", INTERNET, 8089))

    @those(held)
    def test_metrics_are_for_prometheus_when_it_is_there(self, case):
        for name, pod in self.everybody():
            reached = allowed(self.own(case), "ingress", pod, 8086)
            self.assertEqual(reached, bool(case.of("ServiceMonitor")) and name == "Prometheus", name)

    @those(held)
    def test_the_gateway_reaches_nothing_that_it_does_not_need(self, case):
        policy = self.own(case)
        self.assertTrue(allowed(policy, "egress", OTHERS["names"], 53, "UDP"))
        for name, pod in self.everybody():
            self.assertFalse(allowed(policy, "egress", pod, 6443), name)
            self.assertFalse(allowed(policy, "egress", pod, 443), name)
        collector = case.setting("backend", "janus.eventhandler.sampleevh.jcfg") if "sampleevh" in str(case.files) else None
        self.assertEqual(allowed(policy, "egress", INTERNET, 8443), bool(collector and ":8443" in collector))
        self.assertEqual(allowed(policy, "egress", INTERNET, 80), bool(collector and ":8443" not in collector))
        asks = "auth_service" in case.files["janus.jcfg"]
        self.assertEqual(allowed(policy, "egress", OTHERS["STUNner's operator"], 8088), asks)

    @those(held)
    def test_only_where_nothing_is_published_the_gateway_sends_first(self, case):
        full = case.setting("ice_lite") == "false"
        self.assertEqual(allowed(self.own(case), "egress", INTERNET, 40000, "UDP"), full)
