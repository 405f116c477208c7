"""The values that everything is tested with. What is external is named, so that references can be followed."""

import functools

from support import MARK, merged, render

PUBLIC = {"env": {"clusterIp": "203.0.113.10", "clusterName": "gw.example.org"}}

STUNNER = {"stunner": {"enabled": True}}
MINTED = {"stunner": {"enabled": True, "iceServers": {"source": "secret", "publicAddress": "turn.example.org"}}}
STATIC = merged(MINTED, {"stunner": {"auth": {"type": "static", "password": f"{MARK}-turn"}}})
LISTENERS = {
    "stunner": {
        "listeners": [
            {"name": "udp", "protocol": "TURN-UDP", "port": 3478},
            {"name": "tcp", "protocol": "TURN-TCP", "port": 3478},
            {"name": "tls", "protocol": "TURN-TLS", "port": 443, "tlsSecret": "turn-tls"},
            {"name": "dtls", "protocol": "TURN-DTLS", "port": 443, "tlsSecret": "turn-tls"},
        ]
    }
}
ADMIN = {
    "janus": {"adminSecret": f"{MARK}-admin"},
    "admin": {"service": {"enabled": True}, "from": [{"podSelector": {"matchLabels": {"role": "operator"}}}]},
}
COLLECTOR = {
    "janus": {
        "eventUser": "me",
        "eventPassword": f"{MARK}-events",
        "eventBackendUrl": "https://events.example.org:8443/janus",
    }
}
TOKENS = {"janus": {"tokenSecret": f"{MARK}-token", "apiSecret": f"{MARK}-api"}}
CLAIM = {"recordings": {"volume": "persistentVolumeClaim"}}
AZURE = {"env": {"shareName": "recordings"}}
INGRESS = {
    "ingress": {"enabled": True, "host": "gw.example.org", "tlsSecret": "gw-tls"},
    "service": {"type": "ClusterIP"},
    "websockets": {"enabled": True},
}
SCALING = {"autoscaling": {"enabled": True, "targetHandlesPerPod": 200}}
MONITOR = {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}}
ROOMS = {
    "janus": {
        "rooms": {
            "1234": {"record": True, "secret": f"{MARK}-room", "pin": f"{MARK}-pin"},
            "my-room_2": {"description": 'A "quoted" \\ name', "allowed": ["a", "b"], "rec_format": "playable"},
        }
    }
}

# A values file of the community's chart, with all its names; what it leaves empty is null there.
COMMUNITY = {
    "env": {
        "clusterIp": "203.0.113.10",
        "clusterName": "gw.example.org",
        "shareName": "recordings",
        "secrets": {"tlsCertificates": "certs", "fileShare": "file-share", "registriesCredentials": "regcred"},
    },
    "janus": {
        "containerRegistry": "registry.example.org/project",
        "imageName": "janus",
        "imageTag": "latest",
        "sessionPort": 8089,
        "adminPort": 7889,
        "tokenSecret": None,
        "adminSecret": f"{MARK}-admin",
        "recordFolder": "./janus-recordings",
        "eventUser": None,
        "eventPassword": None,
        "eventBackendUrl": None,
        "nat": {"stunServer": "stun.l.google.com", "stunPort": 19302, "niceDebug": False, "fullTrickle": True},
    },
    "nginx": {"httpsPort": 443},
}

CASES = {
    "defaults": {},
    "community": COMMUNITY,
    "public address": PUBLIC,
    "load balancer": merged(PUBLIC, {"media": {"expose": "loadBalancer", "publicIp": "203.0.113.11"}}),
    "node port": {"media": {"expose": "nodePort", "nodePort": 30100}},
    "node port with an address": {"media": {"expose": "nodePort", "nodePort": 30100, "publicIp": "203.0.113.11"}},
    "host port, three pods": {"media": {"expose": "hostPort"}, "replicas": 3},
    "nothing published": merged(PUBLIC, {"media": {"expose": "none"}}),
    "stunner": STUNNER,
    "stunner, minted": MINTED,
    "stunner, static": STATIC,
    "stunner, all listeners": merged(MINTED, LISTENERS, {"stunner": {"address": "203.0.113.12"}}),
    "stunner, IPv6": merged(MINTED, {"stunner": {"iceServers": {"publicAddress": "2001:db8::12"}}}),
    "stunner, secret of one's own": merged(MINTED, {"stunner": {"auth": {"existingSecret": "turn-auth"}}}),
    "stunner, class of one's own": merged(STUNNER, {"stunner": {"gatewayClass": {"create": False, "name": "shared"}}}),
    "stunner, all at once": merged(
        PUBLIC, MINTED, LISTENERS, ADMIN, COLLECTOR, TOKENS, AZURE, INGRESS, SCALING, MONITOR, ROOMS
    ),
    "admin": ADMIN,
    "admin off": {"janus": {"adminPort": 0}},
    "admin off, as null": {"janus": {"adminPort": None}},
    "plain HTTP": merged(ADMIN, {"tls": {"enabled": False}, "websockets": {"enabled": True}}),
    "collector": COLLECTOR,
    "tokens": TOKENS,
    "secret of one's own": merged(
        {"janus": {"existingSecret": "my-secrets", "tokenAuth": True}},
        {"janus": {"eventUser": "me", "eventBackendUrl": "http://events.example.org/"}},
        {"recordings": {"page": {"enabled": True}}, "iceServers": {"urls": ["turn:turn.example.org"]}},
    ),
    "claim": CLAIM,
    "claim of one's own": merged(CLAIM, {"recordings": {"persistentVolumeClaim": {"existingClaim": "my-claim"}}}),
    "claim for many": merged(
        CLAIM, STUNNER, {"recordings": {"persistentVolumeClaim": {"accessModes": ["ReadWriteMany"]}}, "replicas": 2}
    ),
    "azure": AZURE,
    "azure, another folder": merged(AZURE, {"janus": {"recordFolder": "/var/recordings"}}),
    "recordings page": {"recordings": {"page": {"enabled": True, "password": f"{MARK}-page"}}},
    "nginx": merged(PUBLIC, {"nginx": {"enabled": True}}),
    "nginx, high port": {"nginx": {"enabled": True, "httpsPort": 8443}, "tls": {"certFile": "tls.crt", "keyFile": "tls.key"}},
    "ingress": INGRESS,
    "ingress, several pods": merged(
        STUNNER, INGRESS, {"replicas": 3, "ingress": {"sameValueSamePod": "group", "annotations": {"a": "b"}}}
    ),
    "websockets": {"websockets": {"enabled": True}},
    "scaling": SCALING,
    "monitor": MONITOR,
    "rooms": ROOMS,
    "no rooms": {"janus": {"rooms": {"1234": None}}},
    "turn without stunner": {
        "iceServers": {"urls": ["stun:stun.example.org", "turn:turn.example.org:3478"], "secret": f"{MARK}-ice"}
    },
    "stun without stunner": {"iceServers": {"urls": ["stun:stun.example.org"]}},
    "a fixed pair for turn": {
        "iceServers": {"urls": ["turn:turn.example.org"], "username": "me", "credential": f"{MARK}-ice"}
    },
    "pod": {
        "podLabels": {"team": "calls"},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"pool": "media"},
        "tolerations": [{"key": "media", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "portunus"}},
            }
        ],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "calls",
        "extraEnv": [{"name": "PORTUNUS_GENERAL_SESSION_TIMEOUT", "value": "90"}],
        "extraVolumes": [{"name": "archive", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "archive", "mountPath": "/archive"}],
        "env": {"secrets": {"registriesCredentials": ""}},
        "janus": {"imageDigest": "sha256:" + "0" * 64},
    },
    "no policies": {"networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False}},
    "account of one's own": {"serviceAccount": {"create": False, "name": "calls"}},
}

# What a case refers to and does not make.
EXTERNAL = {
    ("Secret", "certs"),
    ("Secret", "regcred"),
    ("Secret", "file-share"),
    ("Secret", "turn-tls"),
    ("Secret", "turn-auth"),
    ("Secret", "my-secrets"),
    ("Secret", "gw-tls"),
    ("PersistentVolumeClaim", "my-claim"),
    ("GatewayClass", "shared"),
    ("ServiceAccount", "calls"),
}


def every_case(test):
    """A test that is run with each case."""
    return those(lambda case: True)(test)


def those(wanted):
    """A test that is run with the cases for which `wanted` holds."""

    def decorate(test):
        @functools.wraps(test)
        def run(self):
            tested = 0
            for name, values in CASES.items():
                with self.subTest(case=name):
                    case = render(values, name)
                    if wanted(case):
                        tested += 1
                        test(self, case)
            self.assertGreater(tested, 0, "no case is about this")

        return run

    return decorate
