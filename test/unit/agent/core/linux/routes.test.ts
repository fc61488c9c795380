import test from 'ava';
import { parseRoutes } from '#agent/core/linux/routes.ts';

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';

test('routes: every subnet but the default route, also of a device that nothing is plugged into', (t) => {
  const rows = [
    'eth0\t00000000\t010010AC\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0',
    'eth0\t00025A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'lone\t0B00007F\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0',
  ];
  t.deepEqual(parseRoutes(`${HEAD}${rows.join('\n')}\n`), ['172.17.0.0/16', '10.90.2.0/24', '127.0.0.11/32']);
});

test('routes: none', (t) => {
  t.deepEqual(parseRoutes(HEAD), []);
});
