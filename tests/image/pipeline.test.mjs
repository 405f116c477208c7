// The pipeline as far as it can be tried without docker: parameters, printed commands, the two Dockerfiles that are made of
// one, the GitLab jobs and the shell in them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

import { ROOT, TEST_MS, attempt, folder, run, until } from './support.mjs';

const has = async (program) => (await attempt('sh', ['-c', 'command -v "$1"', 'sh', program])).code === 0;

/** A copy of what container.sh needs, with programs in it that only write down how they were called. */
function workshop(t, programs = {}) {
  const place = folder(t);
  for (const name of ['container.sh', 'scripts', 'config', 'Dockerfile', 'Dockerfile.build', 'Dockerfile.exec', 'Cargo.lock']) {
    cpSync(path.join(ROOT, name), path.join(place, name), { recursive: true });
  }
  mkdirSync(path.join(place, 'bin'));
  mkdirSync(path.join(place, 'html_samples'));
  writeFileSync(path.join(place, 'calls'), '');
  const standing = { docker: DOCKER, cargo: 'mkdir -p image/vendor', npm: 'mkdir -p html_samples/node_modules', git: 'echo 1767225600', ...programs };
  for (const [name, text] of Object.entries(standing)) {
    const file = path.join(place, 'bin', name);
    writeFileSync(file, `#!/bin/sh\nprintf '%s\\n' "${name} $*" >>"${place}/calls"\n${text}\n`);
    chmodSync(file, 0o755);
  }
  const environment = { PATH: `${path.join(place, 'bin')}:/usr/bin:/bin`, HOME: place };
  return {
    place,
    environment,
    container: (env = {}, ...args) => attempt(path.join(place, 'container.sh'), args, { cwd: place, env: { ...environment, ...env } }),
    calls: () => readFileSync(path.join(place, 'calls'), 'utf8').trim().split('\n'),
  };
}

// As docker answers; `cp` brings what build.sh makes.
const DOCKER = `case "$1" in
  login) cat >"$(dirname "$0")/../password" ;;
  wait) echo 0 ;;
  cp) mkdir -p "$3" && touch "$3/root.tar" "$3/Dockerfile.exec" ;;
esac`;

describe('container.sh', () => {
  it('builds the build image, runs it, and builds both target images', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t);
    const { code, stdout, stderr } = await shop.container();
    assert.equal(code, 0, stdout + stderr);
    const steps = shop.calls().filter((call) => /^docker (build|create|cp|rm)/.test(call)).map((call) => call.replace(/\d{3,}/g, 'N'));
    assert.match(steps[0], /^docker build --target build --tag janus_build:latest --file Dockerfile\.build .*--build-arg IMAGE_TOOL=external .* \.$/);
    assert.match(steps[1], /^docker create --name portunus-build-N --volume janus_build_cargo:\/image\/target .*--env CI_COMMIT_TAG=none .* janus_build:latest$/);
    assert.match(steps[2], /^docker cp portunus-build-N:\/image\/out image\/out\.new$/);
    assert.match(steps[3], /^docker rm --force --volumes portunus-build-N$/);
    assert.match(steps[4], /^docker build --target shell --tag janus:latest-shell --file image\/out\/Dockerfile\.exec .* image\/out$/);
    assert.match(steps[5], /^docker build --target exec --tag janus:latest --file image\/out\/Dockerfile\.exec .* image\/out$/);
    assert.equal(steps.length, 6);
    assert.ok(!shop.calls().some((call) => /^docker (push|login)/.test(call)), 'nothing leaves without IMAGE_REGISTRY');
    assert.ok(existsSync(path.join(shop.place, 'image/out/root.tar')) && !existsSync(path.join(shop.place, 'image/out.new')));
  });

  it('prints the two commands that start it, with ports, folders and what was asked for', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t);
    const env = { HOST_NAME: 'meet.example.org', RUN_WITH_HOST_CONFIGURATION_DIR: 'true', COPY_JANUS_SAMPLES: 'true', CONFIG_GEN_SCRIPT: 'make.sh' };
    const { stdout } = await shop.container(env);
    const printed = stdout.slice(stdout.indexOf('docker run -d')).replace(/ \\\n {2}/g, ' ').split('\n').filter((line) => line.startsWith('docker run'));
    assert.equal(printed.length, 2);
    assert.match(printed[0], /^docker run -d --name janus /);
    assert.match(printed[1], /^docker run -it --name janus /);
    for (const part of ['-p 8089:8089 -p 7889:7889', '-e RUN_WITH_HOST_CONFIGURATION_DIR=true', '-e COPY_JANUS_SAMPLES=true', '-e CONFIG_GEN_SCRIPT=make.sh',
      '-v /etc/letsencrypt/live/meet.example.org:/etc/certs', '-v /etc/letsencrypt/archive:/archive', ':/janus/bin/janus-recordings', ':/janus/etc/janus_host', ':/html']) {
      for (const line of printed) assert.ok(line.includes(part), `${part} in ${line}`);
    }
    assert.ok(printed[0].endsWith(' janus:latest-shell'), 'a script needs a shell');
    const plain = (await shop.container()).stdout;
    assert.ok(plain.includes('<host>.<domain>') && !plain.includes('janus_host') && /\n {2}janus:latest\n/.test(plain), plain);
  });

  it('pushes all images with the password on standard input only', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t);
    const { code, stdout, stderr } = await shop.container({
      IMAGE_REGISTRY: 'registry.example.org/team', IMAGE_REGISTRY_USER: 'me', IMAGE_REGISTRY_PASSWORD: 'p@ss "word"', TARGET_IMAGE_TAG: '1.2.3',
    });
    assert.equal(code, 0, stdout + stderr);
    assert.equal(readFileSync(path.join(shop.place, 'password'), 'utf8'), 'p@ss "word"');
    assert.ok(shop.calls().includes('docker login --username me --password-stdin registry.example.org'));
    assert.deepEqual(shop.calls().filter((call) => call.startsWith('docker push')),
      ['janus_build:latest', 'janus:1.2.3-shell', 'janus:1.2.3'].map((image) => `docker push registry.example.org/team/${image}`));
    assert.ok(!(shop.calls().join() + stdout + stderr).includes('p@ss'), 'no argument and no line has it');
  });

  it('leaves out what SKIP_BUILD_IMAGE and SKIP_TARGET_IMAGE say', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t);
    await shop.container({ SKIP_TARGET_IMAGE: 'true' });
    assert.equal(shop.calls().filter((call) => /^docker (build|create)/.test(call)).length, 1);
    const other = workshop(t);
    await other.container({ SKIP_BUILD_IMAGE: 'true' });
    assert.ok(!other.calls().some((call) => call.includes('--target build')));
    assert.equal(other.calls().filter((call) => /^docker (build|create)/.test(call)).length, 3);
  });

  it('hands the source and the host configuration to the build', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t);
    mkdirSync(path.join(shop.place, 'janus_config'));
    writeFileSync(path.join(shop.place, 'janus_config/janus.jcfg'), '');
    await shop.container({ JANUS_REPO: 'https://example.org/our.git', JANUS_VERSION: 'v1', BUILD_WITH_HOST_CONFIG_DIR: 'true' });
    const create = shop.calls().find((call) => call.startsWith('docker create'));
    for (const part of ['--env JANUS_REPO=https://example.org/our.git', '--env JANUS_VERSION=v1', `--volume ${shop.place}/janus_config:/image/janus_config:ro`]) {
      assert.ok(create.includes(part), create);
    }
  });

  it('lends the build the authorities of EXTRA_CA and takes them back', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t, { docker: `${DOCKER}\ncase "$*" in build*--target\\ build*) cp scripts/image/ca/*.crt seen ;; esac` });
    writeFileSync(path.join(shop.place, 'own.pem'), '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n');
    const { code, stderr } = await shop.container({ EXTRA_CA: 'own.pem' });
    assert.equal(code, 0, stderr);
    assert.match(readFileSync(path.join(shop.place, 'seen'), 'utf8'), /BEGIN CERTIFICATE/);
    assert.deepEqual(readdirSync(path.join(shop.place, 'scripts/image/ca')), ['.gitignore']);
  });

  for (const [what, env, says] of [
    ['a switch that is neither true nor false', { SKIP_BUILD_IMAGE: 'yes' }, /SKIP_BUILD_IMAGE is true or false, not 'yes'/],
    ['an unknown tool', { IMAGE_TOOL: 'rkt' }, /IMAGE_TOOL is docker, podman, buildah or external, not 'rkt'/],
    ['a script with a path', { CONFIG_GEN_SCRIPT: '../x.sh' }, /CONFIG_GEN_SCRIPT is the name of a file/],
    ['a script that is a command', { CONFIG_GEN_SCRIPT: 'a.sh; reboot' }, /CONFIG_GEN_SCRIPT is the name of a file/],
    ['a version without a source', { JANUS_VERSION: 'v1' }, /JANUS_VERSION chooses nothing without JANUS_REPO/],
    ['a name that is none', { TARGET_IMAGE_NAME: 'Janus Image' }, /'Janus Image:latest' is no name and tag/],
    ['a password without a user', { IMAGE_REGISTRY: 'r', IMAGE_REGISTRY_PASSWORD: 'x' }, /without IMAGE_REGISTRY_USER/],
    ['a user without a registry', { IMAGE_REGISTRY_USER: 'x' }, /without IMAGE_REGISTRY/],
    ['authorities that are none', { EXTRA_CA: '/etc/hostname' }, /EXTRA_CA: no certificates/],
    ['a configuration that is not there', { BUILD_WITH_HOST_CONFIG_DIR: 'true' }, /no \.jcfg files in \.\/janus_config/],
    ['a tool that is not there', { IMAGE_TOOL: 'podman', PATH: '/nowhere:/bin' }, /no podman here|env: /],
  ]) {
    it(`refuses ${what}, before it does anything`, { timeout: TEST_MS }, async (t) => {
      const shop = workshop(t);
      const { code, stderr } = await shop.container(env);
      assert.notEqual(code, 0);
      assert.match(stderr, says);
      assert.ok(!shop.calls().some((call) => /docker (build|create|login)/.test(call)));
    });
  }

  it('takes an empty value for an unset one, as scripts/config has them', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t);
    const names = [...readFileSync(path.join(ROOT, 'scripts/config'), 'utf8').matchAll(/^export ([A-Z_]+)=$/gm)].map((found) => found[1]);
    const { code, stderr } = await shop.container(Object.fromEntries(names.map((name) => [name, ''])));
    assert.equal(code, 0, stderr);
    const { stdout: help } = await shop.container({}, '--help');
    for (const name of names) assert.ok(help.includes(name), `${name} in the help`);
    for (const [name] of help.matchAll(/\b[A-Z]+_[A-Z_]+\b/g)) assert.ok(names.includes(name), `${name} in scripts/config`);
  });

  it('takes what runs with it when it is interrupted, and leaves the last content as it was', { timeout: TEST_MS }, async (t) => {
    const shop = workshop(t, { docker: `case "$1" in logs) sleep 60 ;; *) ${DOCKER} ;; esac` });
    mkdirSync(path.join(shop.place, 'image/out'), { recursive: true });
    writeFileSync(path.join(shop.place, 'image/out/root.tar'), 'the last one');
    const child = spawn(path.join(shop.place, 'container.sh'), { cwd: shop.place, env: shop.environment, stdio: 'ignore', detached: true });
    const ended = new Promise((resolve) => { child.once('exit', (code, signal) => resolve(code ?? signal)); });
    await until('it runs', 20_000, () => shop.calls().some((call) => call.startsWith('docker logs')));
    process.kill(-child.pid, 'SIGINT');
    assert.equal(await ended, 130);
    assert.ok(shop.calls().at(-1).startsWith('docker rm --force --volumes portunus-build-'), shop.calls().at(-1));
    assert.equal(readFileSync(path.join(shop.place, 'image/out/root.tar'), 'utf8'), 'the last one');
  });
});

describe('the Dockerfiles', () => {
  it('Dockerfile.build and Dockerfile.exec are made of Dockerfile', async (t) => {
    await run(path.join(ROOT, 'scripts/image/dockerfiles.sh'), ['--check']);
    const shop = workshop(t);
    writeFileSync(path.join(shop.place, 'Dockerfile'), readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8').replace('10000/udp', '10001/udp'));
    const { code, stderr } = await attempt(path.join(shop.place, 'scripts/image/dockerfiles.sh'), ['--check']);
    assert.equal(code, 1);
    assert.match(stderr, /Dockerfile\.exec is not made of Dockerfile/);
  });

  it('the image with a shell says the same as the one without', () => {
    const stages = Object.fromEntries(readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8').split(/^# --- /m).slice(1).map((part) => [part.split(':')[0], part]));
    const told = (stage) => stages[stage].split('\n').slice(1).filter((line) => !/^FROM|image\.description|^ENV PATH/.test(line)).join('\n').trim();
    assert.equal(told('shell'), told('exec'));
    assert.match(told('exec'), /^USER 10001:10001$/m);
  });
});

describe('the configuration of the image', () => {
  it('is made of the samples, and a key that they lack is an error', async (t) => {
    const place = folder(t);
    const script = path.join(ROOT, 'scripts/image/config.sh');
    await run(script, [path.join(ROOT, 'config'), path.join(place, 'made')]);
    assert.deepEqual(readdirSync(path.join(place, 'made')), readdirSync(path.join(ROOT, 'config')));
    const http = readFileSync(path.join(place, 'made/janus.transport.http.jcfg'), 'utf8');
    for (const line of ['http = false', 'https = true', 'secure_port = 8089', 'admin_https = true', 'admin_secure_port = 7889']) {
      assert.match(http, new RegExp(`^  ${line}$`, 'm'));
    }
    cpSync(path.join(ROOT, 'config'), path.join(place, 'samples'), { recursive: true });
    const sample = path.join(place, 'samples/janus.plugin.videoroom.jcfg');
    writeFileSync(sample, readFileSync(sample, 'utf8').replace('#string_ids', '#number_ids'));
    const { code, stderr } = await attempt(script, [path.join(place, 'samples'), path.join(place, 'other')]);
    assert.equal(code, 1);
    assert.match(stderr, /janus\.plugin\.videoroom\.jcfg: no general\.string_ids to set/);
  });
});

describe('.gitlab-ci.yml', () => {
  const load = async () => JSON.parse(await run('python3', ['-c', 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))', path.join(ROOT, '.gitlab-ci.yml')]));
  const yaml = async (t) => {
    if ((await attempt('python3', ['-c', 'import yaml'])).code === 0) return load();
    t.skip('no YAML here (Debian: apt-get install python3-yaml)');
    return null;
  };
  const list = (value) => (value === undefined ? [] : [value].flat());

  it('has the stages in order, and each job stands in one', async (t) => {
    const pipeline = await yaml(t);
    if (!pipeline) return;
    assert.deepEqual(pipeline.stages, ['create_build_image', 'create_target_image_content', 'test', 'create_target_image']);
    const jobs = Object.entries(pipeline).filter(([name, job]) => job.script && !name.startsWith('.'));
    assert.deepEqual([...new Set(jobs.map(([, job]) => job.stage))], pipeline.stages);
    for (const [name, job] of Object.entries(pipeline)) {
      for (const base of list(job.extends)) assert.ok(pipeline[base], `${name} extends ${base}`);
      for (const other of list(job.needs)) assert.ok(pipeline[other]?.script, `${name} needs ${other}`);
    }
    assert.equal(pipeline.create_target_image_content.artifacts.expire_in, '1 hour');
  });

  it('runs for whole tags and branches only', async (t) => {
    const pipeline = await yaml(t);
    if (!pipeline) return;
    const runs = (job, variables) => [job, ...list(job.extends).map((base) => pipeline[base])].flatMap((one) => one.rules ?? []).some(({ if: condition }) => {
      const [, name, pattern] = /^\$(\w+) =~ \/(.*)\/$/.exec(condition);
      return new RegExp(pattern).test(variables[name] ?? '');
    });
    const builds = (name) => [runs(pipeline.create_build_image, name), runs(pipeline.create_target_image_content, name)];
    assert.deepEqual(builds({ CI_COMMIT_TAG: 'build-1.2.3' }), [true, false]);
    assert.deepEqual(builds({ CI_COMMIT_TAG: '1.2.3' }), [false, true]);
    assert.deepEqual(builds({ CI_COMMIT_BRANCH: 'dev-new_things' }), [false, true]);
    for (const other of ['build-1.2.3-old', 'x-build-1.2.3', 'build-1.2', '1.2.3.4', 'v1.2.3', '1.2.3-rc1', '11x2x3']) {
      assert.deepEqual(builds({ CI_COMMIT_TAG: other }), [false, false], other);
    }
    for (const other of ['main', 'my-dev-1', 'dev-a b']) assert.deepEqual(builds({ CI_COMMIT_BRANCH: other }), [false, false], other);
  });

  it('the shell in it is sound', async (t) => {
    const pipeline = await yaml(t);
    if (!pipeline) return;
    if (!await has('shellcheck')) return void t.skip('no shellcheck here');
    for (const [name, job] of Object.entries(pipeline)) {
      // The runner ends a job at the first command that fails.
      const script = path.join(folder(t), `${name}.sh`);
      writeFileSync(script, ['#!/bin/sh', 'set -e', ...list(job.script), ''].join('\n'));
      const { code, stdout } = await attempt('shellcheck', [script]);
      assert.equal(code, 0, stdout);
    }
  });

  const kaniko = async (t, env, ...args) => {
    const place = folder(t);
    writeFileSync(path.join(place, 'executor'), `#!/bin/sh\nprintf '%s\\n' "$@" >"${place}/arguments"\n`);
    chmodSync(path.join(place, 'executor'), 0o755);
    const done = await attempt(path.join(ROOT, 'scripts/image/kaniko.sh'), args, { env: { PATH: process.env.PATH, KANIKO_FOLDER: place, ...env } });
    const words = existsSync(path.join(place, 'arguments')) ? readFileSync(path.join(place, 'arguments'), 'utf8').trim().split('\n') : [];
    const destinations = words.filter((_, i) => words[i - 1] === '--destination');
    return { ...done, place, words, destinations };
  };
  const FIRST = { ACR_REGISTRY: 'acr.example.org', ACR_PROJECT: 'team', ACR_AUTH: 'Zmlyc3Q=' };
  const SECOND = { NCR_REGISTRY: 'ncr.example.org', NCR_AUTH: 'c2Vjb25k' };
  const TARGET = ['image', 'image/Dockerfile.exec', 'exec', 'janus'];

  it('a tag goes to both registries and moves latest', async (t) => {
    const { destinations, place, words, stdout } = await kaniko(t, { ...FIRST, ...SECOND, CI_COMMIT_TAG: '1.2.3' }, ...TARGET, '1.2.3');
    assert.deepEqual(destinations, ['acr.example.org/team/janus:1.2.3', 'acr.example.org/team/janus:latest', 'ncr.example.org/janus:1.2.3', 'ncr.example.org/janus:latest']);
    assert.deepEqual(JSON.parse(readFileSync(path.join(place, '.docker/config.json'), 'utf8')),
      { auths: { 'acr.example.org': { auth: FIRST.ACR_AUTH }, 'ncr.example.org': { auth: SECOND.NCR_AUTH } } });
    assert.ok(!(words.join() + stdout).includes(FIRST.ACR_AUTH), 'who reads the log learns no password');
  });

  it('without NCR_REGISTRY there is one registry', async (t) => {
    const { destinations, place } = await kaniko(t, { ...FIRST, NCR_REGISTRY: '', CI_COMMIT_TAG: '1.2.3' }, ...TARGET, '1.2.3', '-shell');
    assert.deepEqual(destinations, ['acr.example.org/team/janus:1.2.3-shell', 'acr.example.org/team/janus:latest-shell']);
    assert.deepEqual(Object.keys(JSON.parse(readFileSync(path.join(place, '.docker/config.json'), 'utf8')).auths), ['acr.example.org']);
  });

  it('a branch does not move latest', async (t) => {
    const { destinations } = await kaniko(t, { ...FIRST, ...SECOND }, ...TARGET, 'dev-x');
    assert.deepEqual(destinations, ['acr.example.org/team/janus:dev-x', 'ncr.example.org/janus:dev-x']);
  });

  it('without a registry it says so', async (t) => {
    const { code, stderr } = await kaniko(t, {}, ...TARGET, '1.2.3');
    assert.equal(code, 1);
    assert.match(stderr, /ACR_REGISTRY is not set/);
  });
});

describe('the scripts of the image', () => {
  it('pass shellcheck', async (t) => {
    if (!await has('shellcheck')) return void t.skip('no shellcheck here (Debian: apt-get install shellcheck)');
    const scripts = readdirSync(path.join(ROOT, 'scripts/image')).filter((name) => name.endsWith('.sh')).map((name) => `scripts/image/${name}`);
    const { code, stdout } = await attempt('shellcheck', ['--external-sources', 'container.sh', 'scripts/config', ...scripts], { cwd: ROOT });
    assert.equal(code, 0, stdout);
  });
});
