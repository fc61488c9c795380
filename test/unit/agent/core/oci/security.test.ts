import test from 'ava';
import { wantedCapabilities } from '#agent/core/oci/capabilities.ts';
import { ociProfile, seccompChoice } from '#agent/core/oci/security.ts';
import { resolveUser } from '#agent/core/oci/user.ts';

test('capabilities: fourteen by default, more and fewer as asked, however they are spelled', (t) => {
  t.is(wantedCapabilities({}).length, 14);
  t.deepEqual(wantedCapabilities({ CapDrop: ['all'], CapAdd: ['net_admin', 'CAP_SYS_TIME'] }), [
    'CAP_NET_ADMIN',
    'CAP_SYS_TIME',
  ]);
  t.false(wantedCapabilities({ CapDrop: ['MKNOD'] }).includes('CAP_MKNOD'));
  const allBut = wantedCapabilities({ CapAdd: ['ALL'], CapDrop: ['SYS_ADMIN'] });
  t.true(allBut.includes('CAP_SYS_BOOT') && !allBut.includes('CAP_SYS_ADMIN'));
  t.true(wantedCapabilities({ Privileged: true, CapDrop: ['ALL'] }).length > 30);
  t.throws(() => wantedCapabilities({ CapAdd: ['FLY'] }), {
    message: 'invalid CapAdd: unknown capability: "CAP_FLY"',
  });
});

test('seccomp: default, unconfined, a profile of the user; other systems are let pass', (t) => {
  t.is(seccompChoice({}, []), 'default');
  t.is(seccompChoice({ Privileged: true }, []), 'unconfined');
  t.is(seccompChoice({ SecurityOpt: ['seccomp=unconfined', 'label=disable'] }, []), 'unconfined');
  t.deepEqual(seccompChoice({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'] }, []), {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: [],
    syscalls: [],
  });
  t.throws(() => seccompChoice({ SecurityOpt: ['seccomp={'] }, []), {
    message: /Decoding seccomp profile failed/,
  });
  t.throws(() => seccompChoice({ SecurityOpt: ['nosuch=1'] }, []), { message: /invalid --security-opt/ });
});

test("seccomp: conditions of Docker's format are decided by capabilities and architecture", (t) => {
  const action = 'SCMP_ACT_ALLOW';
  const profile = {
    defaultAction: 'SCMP_ACT_ERRNO',
    archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
    syscalls: [
      { names: ['always'], action },
      { names: ['admin'], action, includes: { caps: ['CAP_SYS_ADMIN'] } },
      { names: ['not-admin'], action, excludes: { caps: ['CAP_SYS_ADMIN'] } },
      { names: ['arm'], action, includes: { arches: ['arm64'] } },
      { names: ['new'], action, includes: { minKernel: '4.8' } },
    ],
  };
  const names = (caps: string[]) => ociProfile(profile, caps, 'x64').syscalls.flatMap((rule) => rule.names);
  t.deepEqual(names([]), ['always', 'not-admin', 'new']);
  t.deepEqual(names(['CAP_SYS_ADMIN']), ['always', 'admin', 'new']);
  t.deepEqual(ociProfile(profile, [], 'x64').architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
});

const passwd =
  'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:2:d:/usr/sbin:/bin/false\n# comment\nbare:x:9:9::: \n';
const group = 'root:x:0:root\nbin:x:2:\nstaff:x:50:daemon,x\n';

test('user: by name and by number, with the groups it is a member of', (t) => {
  const who = (user: string, groupAdd: string[] = []) => resolveUser(user, groupAdd, { passwd, group });
  t.deepEqual(who(''), { uid: 0, gid: 0, additionalGids: [0], home: '/root' });
  t.deepEqual(who('daemon'), { uid: 1, gid: 2, additionalGids: [2, 50], home: '/usr/sbin' });
  t.deepEqual(who('1'), who('daemon'));
  t.deepEqual(who('daemon:staff'), { uid: 1, gid: 50, additionalGids: [50], home: '/usr/sbin' });
  t.deepEqual(who('1000:100'), { uid: 1000, gid: 100, additionalGids: [100], home: '/' });
  t.deepEqual(who('1000', ['staff', '77']).additionalGids, [0, 50, 77]);
});

test('user: names that are not there, numbers that can not be', (t) => {
  const accounts = { passwd: '', group: '' };
  t.throws(() => resolveUser('nosuch', [], accounts), {
    message: /unable to find user nosuch: no matching entries/,
  });
  t.throws(() => resolveUser('0:nosuch', [], accounts), { message: /unable to find group nosuch/ });
  t.throws(() => resolveUser('4294967296', [], accounts), { message: /must be in range 0-2147483647/ });
  t.is(resolveUser('', [], accounts).home, '/root');
});
