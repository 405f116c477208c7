"""What values are taken, and that each of them does something."""

import unittest

import yaml

from cases import ADMIN, AZURE, CLAIM, COLLECTOR, INGRESS, MINTED, MONITOR, PUBLIC, SCALING, STATIC, STUNNER
from support import CHART, merged, refusal, render

# Refused by values.schema.json, with what the message names.
WRONG = [
    ({"nosuch": 1}, "nosuch"),
    ({"janus": {"nosuch": 1}}, "nosuch"),
    ({"janus": {"sessionPort": "8089"}}, "sessionPort"),
    ({"janus": {"sessionPort": 443}}, "sessionPort"),
    ({"janus": {"adminPort": 99999}}, "adminPort"),
    ({"janus": {"imageTag": 1.1}}, "imageTag"),
    ({"janus": {"imageDigest": "latest"}}, "imageDigest"),
    ({"janus": {"imagePullPolicy": "Sometimes"}}, "imagePullPolicy"),
    ({"janus": {"debugLevel": 8}}, "debugLevel"),
    ({"janus": {"eventBackendUrl": "events.example.org"}}, "eventBackendUrl"),
    ({"janus": {"recordFolder": "../etc"}}, "recordFolder"),
    ({"janus": {"nat": {"fullTrickle": "yes"}}}, "fullTrickle"),
    ({"janus": {"nat": {"stunServer": "stun.example.org\"; x = \""}}}, "stunServer"),
    ({"janus": {"rooms": {"1234 }; x": {}}}}, "1234 }; x"),
    ({"janus": {"rooms": {"1": {"secret": "adminpwd"}}}}, "secret"),
    ({"janus": {"rooms": {"1": {"bitrate": "many"}}}}, "bitrate"),
    ({"env": {"clusterIp": "gw.example.org"}}, "clusterIp"),
    ({"env": {"secrets": {"tlsCertificates": "My Secret"}}}, "tlsCertificates"),
    ({"nginx": {"httpsPort": 0}}, "httpsPort"),
    ({"tls": {"certFile": "../x"}}, "certFile"),
    ({"replicas": -1}, "replicas"),
    ({"strategy": "canary"}, "strategy"),
    ({"drain": {"gracePeriodSeconds": 0}}, "gracePeriodSeconds"),
    ({"service": {"type": "ExternalName"}}, "type"),
    ({"media": {"port": 80}}, "port"),
    ({"media": {"expose": "nodePort", "nodePort": 10000}}, "nodePort"),
    ({"media": {"expose": "hostNetwork"}}, "expose"),
    ({"stunner": {"auth": {"type": "none"}}}, "type"),
    ({"stunner": {"listeners": []}}, "listeners"),
    ({"stunner": {"listeners": [{"name": "x", "protocol": "UDP", "port": 3478}]}}, "protocol"),
    ({"stunner": {"listeners": [{"name": "x", "protocol": "TURN-TLS", "port": 443}]}}, "tlsSecret"),
    ({"stunner": {"iceServers": {"source": "guess"}}}, "source"),
    ({"stunner": {"iceServers": {"ttlSeconds": 1}}}, "ttlSeconds"),
    ({"iceServers": {"urls": ["http://turn.example.org"]}}, "urls"),
    ({"iceServers": {"policy": "none"}}, "policy"),
    ({"admin": {"from": [{}]}}, "from"),
    ({"recordings": {"volume": "hostPath"}}, "volume"),
    ({"recordings": {"persistentVolumeClaim": {"size": "big"}}}, "size"),
    ({"networkPolicy": {"signallingFrom": [{"pods": {}}]}}, "signallingFrom"),
    ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "maxUnavailable"),
    ({"autoscaling": {"scaleDownPeriodSeconds": 9999}}, "scaleDownPeriodSeconds"),
    ({"ingress": {"path": "janus"}}, "path"),
    ({"ingress": {"sameValueSamePod": "Group"}}, "sameValueSamePod"),
    ({"ingress": {"sameValueSamePod": 'x" evil'}}, "sameValueSamePod"),
    ({"livenessProbe": {"httpGet": {"port": 1}}}, "livenessProbe"),
    ({"extraEnv": [{"value": "x"}]}, "extraEnv"),
]

# Refused because values do not go together, with the beginning of the reason.
TOGETHER = [
    ({"media": {"expose": "loadBalancer"}}, "media.expose loadBalancer needs its address"),
    ({"media": {"expose": "nodePort"}}, "media.expose nodePort needs media.nodePort"),
    (merged(PUBLIC, {"replicas": 2}), "media.expose loadBalancer sends a client's media to any pod"),
    (merged(PUBLIC, SCALING), "media.expose loadBalancer sends a client's media to any pod"),
    ({"media": {"expose": "nodePort", "nodePort": 30100}, "replicas": 2}, "media.expose nodePort sends"),
    (merged(STUNNER, CLAIM, {"replicas": 2}), "recordings of several pods need"),
    (
        {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": 0}},
        "autoscaling needs targetCPUUtilizationPercentage or targetHandlesPerPod",
    ),
    ({"autoscaling": {"enabled": True, "minReplicas": 9}}, "autoscaling.minReplicas is more than maxReplicas"),
    ({"drain": {"gracePeriodSeconds": 60}}, "drain.marginSeconds must be less than drain.gracePeriodSeconds"),
    ({"janus": {"eventBackendUrl": "https://events.example.org"}}, "janus.eventBackendUrl, janus.eventUser and"),
    ({"janus": {"eventUser": "me", "eventPassword": "x"}}, "janus.eventBackendUrl, janus.eventUser and"),
    ({"janus": {"adminSecret": "x", "existingSecret": "y"}}, "janus.adminSecret and janus.existingSecret exclude"),
    ({"janus": {"adminSecret": "janusoverlord"}}, "janus.adminSecret janusoverlord is in everybody's samples"),
    ({"janus": {"adminPort": 0}, "admin": {"service": {"enabled": True}}}, "admin.service.enabled needs janus.adminPort"),
    ({"admin": {"service": {"enabled": True}}}, "admin.service.enabled needs admin.from"),
    (merged(STUNNER, {"stunner": {"gatewayClass": {"create": False}}}), "stunner.gatewayClass.create false needs"),
    (
        merged(MINTED, {"stunner": {"gatewayClass": {"create": False, "name": "x"}}}),
        "with a GatewayClass of your own, stunner.iceServers.source secret needs",
    ),
    ({"stunner": {"enabled": True, "iceServers": {"source": "secret"}}}, "stunner.iceServers.source secret needs"),
    (merged(STUNNER, {"iceServers": {"urls": ["stun:x"]}}), "iceServers is for clients without STUNner"),
    ({"iceServers": {"urls": ["turn:x"], "secret": "a", "credential": "b"}}, "iceServers.secret makes credentials"),
    (
        merged(STUNNER, {"stunner": {"listeners": [{"name": "x", "protocol": "TURN-UDP", "port": port} for port in (1, 2)]}}),
        "two of stunner.listeners have one name",
    ),
    ({"iceServers": {"urls": ["turn:x"]}}, "TURN servers in iceServers.urls need"),
    ({"iceServers": {"urls": ["turn:x"], "username": "me"}}, "TURN servers in iceServers.urls need"),
    ({"ingress": {"enabled": True}}, "ingress.enabled needs ingress.host"),
    ({"janus": {"existingSecret": "x"}, "recordings": {"page": {"enabled": True, "password": "y"}}}, "recordings.page.password and"),
    ({"janus": {"existingSecret": "x"}, "iceServers": {"urls": ["turn:x"], "secret": "y"}}, "iceServers.secret and"),
    (
        {"janus": {"existingSecret": "x"}, "iceServers": {"urls": ["turn:x"], "username": "a", "credential": "y"}},
        "iceServers.credential and",
    ),
    (merged(INGRESS, {"ingress": {"sameValueSamePod": "group"}, "websockets": {"enabled": False}}), "sameValueSamePod needs"),
    ({"ingress": {"sameValueSamePod": "group"}}, "sameValueSamePod needs"),
    (
        merged(
            INGRESS,
            {"ingress": {"sameValueSamePod": "group", "annotations": {"nginx.ingress.kubernetes.io/upstream-hash-by": "$arg_x"}}},
        ),
        "exclude each other",
    ),
    ({"recordings": {"volume": "azureFile"}}, "recordings.volume azureFile needs env.shareName"),
    ({"janus": {"sessionPort": 8086}}, "two of janus.sessionPort, janus.adminPort"),
    ({"nginx": {"enabled": True}, "tls": {"enabled": False}}, "nginx.enabled needs tls.enabled"),
]

# Where a value has an effect, by the beginning of its name; what it is changed to, if not to something of its kind.
WHERE = {
    "env.shareName": AZURE,
    "env.secrets.fileShare": AZURE,
    "env.clusterName": {"nginx": {"enabled": True}},
    "nginx": {"nginx": {"enabled": True}},
    "janus.event": COLLECTOR,
    "websockets": {"websockets": {"enabled": True}},
    "service.loadBalancerSourceRanges": PUBLIC,
    "media": PUBLIC,
    "media.nodePort": {"media": {"expose": "nodePort", "nodePort": 30100}},
    "iceServers": {"iceServers": {"urls": ["turn:turn.example.org"], "secret": "a"}},
    "iceServers.username": {"iceServers": {"urls": ["turn:turn.example.org"], "username": "me", "credential": "a"}},
    "iceServers.credential": {"iceServers": {"urls": ["turn:turn.example.org"], "username": "me", "credential": "a"}},
    "stunner": MINTED,
    "stunner.gatewayClass.create": merged(STUNNER, {"stunner": {"gatewayClass": {"name": "shared"}}}),
    "stunner.auth.username": STATIC,
    "stunner.auth.password": STATIC,
    "stunner.iceServers.authService": STUNNER,
    "stunner.systemNamespace": STUNNER,
    "admin": ADMIN,
    "recordings.persistentVolumeClaim": CLAIM,
    "recordings.page.password": {"recordings": {"page": {"enabled": True}}},
    "metrics.serviceMonitor": MONITOR,
    "networkPolicy.metricsFrom": MONITOR,
    "networkPolicy.eventCollector": COLLECTOR,
    "autoscaling": SCALING,
    "ingress": INGRESS,
}
PEER = [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
OTHER = {
    "env.clusterIp": "203.0.113.99",
    "media.publicIp": "203.0.113.99",
    "stunner.address": "203.0.113.99",
    "metrics.ip": "::",
    "janus.imageDigest": "sha256:" + "1" * 64,
    "janus.imagePullPolicy": "Always",
    "nginx.imagePullPolicy": "Always",
    "janus.eventBackendUrl": "https://other.example.org/",
    "janus.logFormat": "json",
    "janus.recordFolder": "/other",
    "strategy": "recreate",
    "service.type": "NodePort",
    "service.externalTrafficPolicy": "Local",
    "service.sessionAffinity": "ClientIP",
    "service.loadBalancerSourceRanges": ["192.0.2.0/24"],
    "media.expose": "hostPort",
    "media.nodePort": 30101,
    "media.externalTrafficPolicy": "Cluster",
    "iceServers.urls": ["stun:other.example.org"],
    "iceServers.policy": "relay",
    "stunner.listeners": [{"name": "other", "protocol": "TURN-TCP", "port": 3479}],
    "stunner.auth.type": "static",
    "stunner.iceServers.source": "authService",
    "stunner.iceServers.authService": "http://other.example.org:8000/ice",
    "admin.from": PEER,
    "recordings.volume": "persistentVolumeClaim",
    "recordings.emptyDir.sizeLimit": "3Gi",
    "recordings.persistentVolumeClaim.accessModes": ["ReadWriteMany"],
    "recordings.persistentVolumeClaim.size": "99Gi",
    "metrics.serviceMonitor.interval": "15s",
    "networkPolicy.extraIngress": [{"ports": [{"port": 1, "protocol": "TCP"}]}],
    "networkPolicy.extraEgress": [{"ports": [{"port": 1, "protocol": "TCP"}]}],
    "autoscaling.minReplicas": 2,
    "ingress.path": "/other",
    "ingress.websocketPath": "/other",
    "tolerations": [{"operator": "Exists"}],
    "topologySpreadConstraints": [{"maxSkew": 1}],
    "extraEnv": [{"name": "OTHER", "value": "x"}],
    "extraVolumes": [{"name": "other", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "other", "mountPath": "/other"}],
    "tls.enabled": False,
}


def leaves(values, above=""):
    for key, value in values.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, dict) and value and not name.startswith(("janus.rooms",)):
            yield from leaves(value, name)
        else:
            yield name, value


def another(name, value):
    """A value of the same kind."""
    if name in OTHER:
        return OTHER[name]
    if name.startswith("networkPolicy.") and isinstance(value, list):
        return PEER
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, dict):
        return {"other": {}} if name == "janus.rooms" else {"other": "x"}
    if isinstance(value, list):
        return [*value, "other"]
    return "other"


def said(values, name):
    for part in name.split("."):
        values = values.get(part, {}) if isinstance(values, dict) else {}
    return values if values != {} else None


def seen(values):
    """A rendering without what is random in it."""
    case = render(values)
    names = [case.secret_data(item["metadata"]["name"]).get("username") for item in case.of("Secret")]
    return case.without_secrets(), names


def spelled(name, value):
    for part in reversed(name.split(".")):
        value = {part: value}
    return value


class Values(unittest.TestCase):
    def test_the_schema_refuses_wrong_values(self):
        for values, named in WRONG:
            with self.subTest(values=values):
                why = refusal(values)
                self.assertIsNotNone(why, "taken")
                self.assertIn("schema", why)
                self.assertIn(named, why)

    def test_values_that_do_not_go_together_are_refused_with_the_reason(self):
        for values, reason in TOGETHER:
            with self.subTest(values=values):
                self.assertIn(reason, refusal(values) or "taken")

    def test_every_value_has_an_effect(self):
        defaults = yaml.safe_load((CHART / "values.yaml").read_text())
        names = dict(leaves(defaults))
        self.assertGreater(len(names), 130)
        for name, value in names.items():
            with self.subTest(value=name):
                place = max((part for part in WHERE if name.startswith(part)), key=len, default=None)
                base = WHERE[place] if place else {}
                change = another(name, value)
                if said(base, name) == change:
                    change = value
                changed = merged(base, spelled(name, change))
                self.assertFalse(seen(changed) == seen(base), f"{name} = {change} changes nothing")
