"""Installing, upgrading and uninstalling with Helm's library, on a stand-in for the API server."""

import base64
import contextlib
import unittest

import helm_python as helm

from apiserver import Cluster
from cases import CASES, CLAIM, MINTED
from support import CHART, KUBERNETES, MARK, NAMESPACE, RELEASE, merged, render, validate

ALL = CASES["stunner, all at once"]


@contextlib.contextmanager
def cluster():
    with Cluster() as running:
        content = f"""
apiVersion: v1
kind: Config
clusters: [{{ name: stand-in, cluster: {{ server: "{running.url}" }} }}]
users: [{{ name: tester, user: {{}} }}]
contexts: [{{ name: test, context: {{ cluster: stand-in, user: tester, namespace: {NAMESPACE} }} }}]
current-context: test
"""
        options = {"namespace": NAMESPACE, "storage_driver": "memory", "qps": 1000, "burst_limit": 1000}
        with helm.Config(kubeconfig_content=content, **options) as config:
            yield running, config


class Releases(unittest.TestCase):
    def install(self, config, values):
        self.assertEqual(config.install(str(CHART), RELEASE, values)["status"], "deployed")

    def upgrade(self, config, values):
        self.assertEqual(config.upgrade(str(CHART), RELEASE, values)["status"], "deployed")

    def test_a_dry_run_makes_nothing(self):
        with cluster() as (running, config):
            for how in ("client", "server"):
                config.install(str(CHART), RELEASE, ALL, dry_run=how)
            self.assertEqual(running.objects, {})

    def test_an_installation_makes_what_was_rendered(self):
        with cluster() as (running, config):
            self.install(config, ALL)
            made = {(item["kind"], item["metadata"]["name"]) for item in running.objects.values()}
            rendered = {(item["kind"], item["metadata"]["name"]) for item in render(ALL).objects}
            self.assertEqual(made, rendered)
            for item in running.objects.values():
                kept = {key: item["metadata"].get(key) for key in ("name", "labels", "annotations")}
                kept = {key: value for key, value in kept.items() if value}
                validate({**item, "metadata": kept}, KUBERNETES[-1])

    def test_generated_secrets_survive_an_upgrade(self):
        with cluster() as (running, config):
            self.install(config, MINTED)
            before = {name: running.get("Secret", name)["data"] for name in ("gw-portunus", "gw-portunus-turn")}
            self.upgrade(config, merged(MINTED, {"janus": {"debugLevel": 5, "rooms": {"5678": {}}}}))
            after = {name: running.get("Secret", name)["data"] for name in before}
            self.assertEqual(set(after["gw-portunus"]) - set(before["gw-portunus"]), {"room-5678-secret"})
            del after["gw-portunus"]["room-5678-secret"]
            self.assertEqual(after, before)

    def test_a_secret_that_is_given_takes_the_place_of_the_generated_one(self):
        with cluster() as (running, config):
            self.install(config, {})
            pods = running.get("Deployment", "gw-portunus")["spec"]["template"]
            self.upgrade(config, {"janus": {"adminSecret": f"{MARK}-admin"}})
            given = base64.b64decode(running.get("Secret", "gw-portunus")["data"]["admin-secret"]).decode()
            self.assertEqual(given, f"{MARK}-admin")
            self.assertNotEqual(running.get("Deployment", "gw-portunus")["spec"]["template"], pods)

    def test_an_upgrade_that_changes_nothing_replaces_no_pods(self):
        with cluster() as (running, config):
            self.install(config, ALL)
            pods = running.get("Deployment", "gw-portunus")["spec"]["template"]
            self.upgrade(config, ALL)
            self.assertEqual(running.get("Deployment", "gw-portunus")["spec"]["template"], pods)

    def test_what_is_left_after_uninstalling_are_recordings(self):
        with cluster() as (running, config):
            self.install(config, merged(MINTED, CLAIM))
            config.uninstall(RELEASE)
            left = [(item["kind"], item["metadata"]["name"]) for item in running.objects.values()]
            self.assertEqual(left, [("PersistentVolumeClaim", "gw-portunus-recordings")])

