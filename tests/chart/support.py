"""Rendering of the chart, and what several tests ask of the result."""

import base64
import functools
import json
import os
import pathlib
import re
import subprocess
import tempfile

import helm_python as helm
import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
CHART = ROOT / "charts" / "portunus"
KUBERNETES = ["1.25", ".".join(kubernetes_validate.latest_version().split(".")[:2])]

# Marks secrets that a case gives, so that a test can look for them where they should not be.
MARK = "marked-secret"
NAMESPACE = "calls"
RELEASE = "gw"


@functools.cache
def chart():
    return helm.Chart.load(str(CHART))


@functools.cache
def own_schemas():
    return {path.stem: json.loads(path.read_text()) for path in (HERE / "schemas").glob("*.json")}


class Rendering:
    """The objects of one set of values."""

    def __init__(self, name, values, release=RELEASE):
        self.name = name
        self.values = values
        files = chart().render(values, name=release, namespace=NAMESPACE, is_install=True)
        self.notes = next(text for path, text in files.items() if path.endswith("NOTES.txt"))
        self.objects = []
        for path, text in files.items():
            if path.endswith(".yaml"):
                self.objects += [item for item in yaml.safe_load_all(text) if item]

    def of(self, kind):
        return [item for item in self.objects if item["kind"] == kind]

    def get(self, kind, name):
        return next((item for item in self.of(kind) if item["metadata"]["name"] == name), None)

    def one(self, kind):
        found = self.of(kind)
        assert len(found) == 1, f"{len(found)} objects of kind {kind}"
        return found[0]

    @property
    def pod(self):
        return self.one("Deployment")["spec"]["template"]

    def container(self, name="portunus"):
        return next(item for item in self.pod["spec"]["containers"] if item["name"] == name)

    @property
    def files(self):
        """The .jcfg files by name."""
        return next(item["data"] for item in self.of("ConfigMap") if "janus.jcfg" in item["data"])

    def setting(self, key, file="janus.jcfg"):
        """What a key has in a file, as text; None if it is not there."""
        found = re.search(rf"^\s*{re.escape(key)} = (.*)$", self.files[file], re.MULTILINE)
        return found and found[1].strip('"')

    def secret_data(self, name):
        found = self.get("Secret", name)
        return found and {key: base64.b64decode(text).decode() for key, text in found["data"].items()}

    def environment(self):
        """Variables of the gateway's container as the kubelet would set them. Of a Secret that is not ours, what it must have."""
        variables = {}
        for item in self.container()["env"]:
            source = item.get("valueFrom", {})
            if "value" in item:
                variables[item["name"]] = item["value"]
            elif "secretKeyRef" in source:
                reference = source["secretKeyRef"]
                data = self.secret_data(reference["name"])
                if data:
                    variables[item["name"]] = data[reference["key"]]
                elif not reference.get("optional"):
                    variables[item["name"]] = f"theirs-{reference['key']}"
            else:
                path = source["fieldRef"]["fieldPath"]
                variables[item["name"]] = {"metadata.name": "gw-portunus-0", "status.hostIP": "192.0.2.7"}[path]
        return variables

    def without_secrets(self):
        """Text of everything but the data of Secrets, which may be random."""
        kept = [dict(item, data=None) if item["kind"] == "Secret" else item for item in self.objects]
        return json.dumps([kept, self.notes], sort_keys=True)


@functools.cache
def _rendering(name, text, release):
    return Rendering(name, json.loads(text), release)


def render(values, name="", release=RELEASE):
    return _rendering(name, json.dumps(values), release)


def merged(*parts):
    """Values laid over one another, as `helm -f a -f b` does."""
    result = {}
    for part in parts:
        for key, value in part.items():
            if isinstance(value, dict) and isinstance(result.get(key), dict):
                result[key] = merged(result[key], value)
            else:
                result[key] = value
    return result


def refusal(values):
    """Why the chart does not take these values; None if it does."""
    try:
        chart().render(values, name=RELEASE, namespace=NAMESPACE)
    except helm.HelmError as error:
        return str(error)
    return None


# It reads its files anew for every object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


def validate(item, version):
    """Holds an object against the schema of a Kubernetes version, or ours for custom resources. Raises what is wrong."""
    own = own_schemas().get(item["kind"])
    if own and own["properties"]["apiVersion"]["const"] == item["apiVersion"]:
        jsonschema.Draft202012Validator(own).validate(item)
    else:
        kubernetes_validate.validate(item, version, strict=True)


def selects(selector, labels):
    """Whether a label selector picks something with these labels. An empty selector picks all."""
    unknown = set(selector) - {"matchLabels"}
    assert not unknown, f"selector with {unknown}"
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def gateway():
    """The binary of --check-config, if there is one."""
    path = pathlib.Path(os.environ.get("PORTUNUS_BIN") or ROOT / "target/ci/portunus")
    return path if path.is_file() else None


def check_config(rendering):
    """Mistakes and warnings of the gateway about the rendered files with the rendered environment."""
    with tempfile.TemporaryDirectory(prefix="portunus-chart-") as folder:
        for name, text in rendering.files.items():
            (pathlib.Path(folder) / name).write_text(text)
        run = subprocess.run(
            [gateway(), "-F", folder, "--check-config"],
            env=rendering.environment(),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    said = (run.stdout + run.stderr).replace(folder, "").splitlines()
    assert any(re.match(r"\d+ errors?", line) for line in said), f"no summary: {said}"
    return [line for line in said if re.search(r": (error|warning): ", line)]
