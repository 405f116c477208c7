// The same Dockerfiles with buildah, which needs no daemon: what Kaniko is like, and what IMAGE_TOOL=buildah does. What the
// build image makes is taken from the build by docker; compiling it twice would show nothing more.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { ROOT, attempt, run } from './support.mjs';

const BUILD_MS = 600_000;
const OUT = path.join(ROOT, 'image/out');
const STORE = path.join(ROOT, 'target/image/buildah');

const missing = async () => {
  if (process.getuid() !== 0) return 'buildah is tried as root only';
  if ((await attempt('sh', ['-c', 'command -v buildah'])).code !== 0) return 'no buildah here (Debian: apt-get install buildah)';
  return existsSync(path.join(OUT, 'root.tar')) ? null : 'nothing is built yet: make image';
};

const skip = await missing() ?? false;

describe('buildah', () => {
  // Its images are kept apart from those of the machine, and without a driver that the kernel may lack.
  const environment = {
    ...process.env, IMAGE_TOOL: 'buildah', BUILDAH_ISOLATION: 'chroot', CONTAINERS_STORAGE_CONF: path.join(STORE, 'storage.conf'), STORAGE_DRIVER: 'overlay',
    TARGET_IMAGE_NAME: 'janus', TARGET_IMAGE_TAG: 'by-buildah', IMAGE_REGISTRY: '',
  };
  const tool = (name, ...args) => run(path.join(ROOT, 'scripts/image', name), args, { env: environment, timeout: BUILD_MS, cwd: ROOT });
  const buildah = (...args) => run('buildah', args, { env: environment, timeout: BUILD_MS, cwd: ROOT });
  const settings = async (image) => JSON.parse(await buildah('inspect', '--type', 'image', image)).Docker.config;

  before(async () => {
    if (skip) return;
    mkdirSync(path.join(STORE, 'run'), { recursive: true });
    writeFileSync(environment.CONTAINERS_STORAGE_CONF, `[storage]\ndriver = "overlay"\ngraphroot = "${STORE}/data"\nrunroot = "${STORE}/run"\n`);
    await tool('base.sh', 'debian:bookworm-slim');
  }, { timeout: BUILD_MS });
  after(async () => {
    if (skip) return;
    await attempt('buildah', ['rm', '--all'], { env: environment });
    await attempt('buildah', ['rmi', '--all', '--force'], { env: environment });
    rmSync(STORE, { recursive: true, force: true });
  });

  it('builds both target images of Dockerfile.exec, with health check, user and ports', { skip, timeout: BUILD_MS }, async () => {
    await tool('target.sh', OUT);
    for (const image of ['janus:by-buildah', 'janus:by-buildah-shell']) {
      const its = await settings(image);
      assert.deepEqual(its.Entrypoint, ['/janus/bin/portunus', 'start']);
      assert.deepEqual(its.Healthcheck.Test, ['CMD', '/janus/bin/portunus', 'healthcheck']);
      assert.equal(its.User, '10001:10001');
      assert.deepEqual(Object.keys(its.ExposedPorts).sort(), ['10000/udp', '7889/tcp', '8089/tcp']);
    }
  });

  it('keeps the owners of the archive, and the programs run', { skip, timeout: BUILD_MS }, async () => {
    const container = (await buildah('from', 'janus:by-buildah')).trim();
    const root = (await buildah('mount', container)).trim();
    const owner = async (name) => (await run('stat', ['--format', '%u:%g %a', path.join(root, name)])).trim();
    assert.equal(await owner('janus/bin/janus-recordings'), '10001:0 775');
    assert.equal(await owner('janus/bin/portunus'), '0:0 755');
    assert.match(await run('chroot', [root, '/janus/bin/portunus', '--version']), /\d/);
    await buildah('rm', container);
  });

  it('builds the build image of Dockerfile.build', { skip, timeout: BUILD_MS }, async () => {
    await run('bash', ['-c', '. scripts/image/tool.sh; tool_build build janus_build:by-buildah Dockerfile.build . --build-arg CI_COMMIT_TAG=build-1.2.3'],
      { env: environment, timeout: BUILD_MS, cwd: ROOT });
    assert.deepEqual((await settings('janus_build:by-buildah')).Entrypoint, ['/image/build.sh']);
    const container = (await buildah('from', 'janus_build:by-buildah')).trim();
    const info = await buildah('run', container, '--', '/image/build.sh', '--info');
    assert.match(info, /^tag: +build-1\.2\.3$/m);
    assert.match(info, /^compiler: +rustc 1\./m);
    await buildah('rm', container);
  });
});
