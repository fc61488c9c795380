import type { Clock } from '#proto/base/clock.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Store } from '../store/view.ts';
import { ClusterSettings } from './cluster.ts';
import type { ImageResolver } from './image-pin.ts';
import { Networks } from './networks.ts';
import { Nodes } from './nodes.ts';
import { Services, type ServicesOpts } from './services.ts';
import { Turns } from './turns.ts';

export interface ControlModules {
  readonly store: Pick<Store, 'view' | 'update'>;
  readonly consensus: Pick<Consensus, 'members' | 'status'>;
  readonly images: ImageResolver;
  readonly clock: Pick<Clock, 'timer' | 'wallMs'>;
  readonly random: Random;
  readonly log: Log;
}

/** Everything a user may change in a cluster. Works on the manager that leads; elsewhere the store refuses. */
export interface Control {
  readonly services: Services;
  readonly networks: Networks;
  readonly nodes: Nodes;
  readonly cluster: ClusterSettings;
}

export function openControl(opts: ServicesOpts, modules: ControlModules): Control {
  const shared = { ...modules, turns: new Turns(), log: modules.log.child('control') };
  return {
    services: new Services(opts, shared),
    networks: new Networks(shared),
    nodes: new Nodes(shared),
    cluster: new ClusterSettings(shared),
  };
}
