"""As much of a Kubernetes API server as Helm needs: objects are kept in memory, nothing runs. For install, upgrade, uninstall."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Plural and kind of what the chart makes, by group and version.
RESOURCES = {
    "v1": {
        "configmaps": "ConfigMap",
        "secrets": "Secret",
        "services": "Service",
        "serviceaccounts": "ServiceAccount",
        "persistentvolumeclaims": "PersistentVolumeClaim",
    },
    "apps/v1": {"deployments": "Deployment"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "stunner.l7mp.io/v1": {"gatewayconfigs": "GatewayConfig", "udproutes": "UDPRoute"},
    "monitoring.coreos.com/v1": {"servicemonitors": "ServiceMonitor"},
    "gateway.networking.k8s.io/v1": {"gateways": "Gateway", "gatewayclasses": "GatewayClass"},
}
CLUSTER_WIDE = {"GatewayClass"}
VERBS = ["create", "delete", "get", "list", "patch", "update"]

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def openapi(name):
    """Says of each kind that the server checks fields itself, so that Helm does not ask for all schemas."""
    group, _, version = name.rpartition("/")
    checked = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {
        f"/{plural}/{{name}}": {
            "patch": {
                "parameters": checked,
                "responses": {},
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
            }
        }
        for plural, kind in {**RESOURCES[name], "namespaces": "Namespace"}.items()
    }
    return {"openapi": "3.0.0", "info": {"title": "stand-in", "version": "1"}, "paths": paths}


def discovery(path):
    """Answers of the paths that say what there is; None for other paths."""
    groups = [name.split("/") for name in RESOURCES if "/" in name]
    if path == "/version":
        return {"major": "1", "minor": "33", "gitVersion": "v1.33.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        versions = [
            {
                "name": group,
                "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
                "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
            }
            for group, version in groups
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": versions}
    if path == "/openapi/v3":
        places = [f"apis/{name}" if "/" in name else f"api/{name}" for name in RESOURCES]
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in places}}
    if path.startswith("/openapi/v3/"):
        return openapi(path.removeprefix("/openapi/v3/").removeprefix("apis/").removeprefix("api/"))
    if path == CRDS:
        return {"kind": "CustomResourceDefinitionList", "apiVersion": "apiextensions.k8s.io/v1", "metadata": {}, "items": []}
    name = path.removeprefix("/apis/").removeprefix("/api/")
    if name not in RESOURCES:
        return None
    resources = [
        {"name": plural, "singularName": "", "namespaced": kind not in CLUSTER_WIDE, "kind": kind, "verbs": VERBS}
        for plural, kind in RESOURCES[name].items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def refuse(self, code, reason):
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
        self.answer(code, {**status, "message": f"{self.command} {self.path}"})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")

    def do_GET(self):
        path = self.path.split("?")[0]
        found = discovery(path)
        if found is None:
            found = self.server.objects.get(path)
        self.answer(200, found) if found else self.refuse(404, "NotFound")

    def do_POST(self):
        path = self.path.split("?")[0]
        item = self.body()
        place = f"{path}/{item['metadata']['name']}"
        if place in self.server.objects:
            self.refuse(409, "AlreadyExists")
        else:
            self.answer(201, self.keep(place, item))

    def do_PATCH(self):
        # Server-side apply: all fields are ours, so the new object replaces the old one.
        if self.headers["Content-Type"].split(";")[0] != "application/apply-patch+yaml":
            self.refuse(415, "UnsupportedMediaType")
        else:
            self.answer(200, self.keep(self.path.split("?")[0], self.body()))

    def do_DELETE(self):
        self.body()
        gone = self.server.objects.pop(self.path.split("?")[0], None)
        self.answer(200, {"kind": "Status", "status": "Success"}) if gone else self.refuse(404, "NotFound")

    def keep(self, place, item):
        item["metadata"] = {**item["metadata"], "uid": place, "resourceVersion": "1"}
        namespace = re.search(r"/namespaces/([^/]+)/", place)
        if namespace:
            item["metadata"]["namespace"] = namespace[1]
        self.server.objects[place] = item
        return item

    def log_message(self, *_):
        pass


class Cluster:
    """`with Cluster() as cluster`: cluster.url, and cluster.objects by path."""

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.objects = self.server.objects = {}
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def get(self, kind, name):
        for item in self.objects.values():
            if item["kind"] == kind and item["metadata"]["name"] == name:
                return item
        return None
