import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Log } from '#proto/base/log.ts';
import type { Random } from '#proto/base/random.ts';
import type { IssueCertificateReply, IssueCertificateRequest } from '#proto/gen/shoal.ts';
import type { Input } from '#proto/rpc/codec.ts';
import { NotLeaderError } from '#proto/rpc/status.ts';
import type { CallInfo, Implementation, RpcDialer } from '#proto/rpc/types.ts';
import type { NodeId } from '#proto/types/ids.ts';
import type { Cluster, Node } from '#proto/types/objects.ts';
import type { NodeAvailability, NodeRole } from '#proto/types/states.ts';
import type { Consensus } from '../consensus/consensus.ts';
import type { Store } from '../store/view.ts';
import { type Issued, issueCertificate, nodeIdOf, requestedKey } from './issue.ts';
import { certificateRole } from './role.ts';
import { roleOfToken, tokenNeeded } from './tokens.ts';

export interface CaModules {
  readonly store: Pick<Store, 'view' | 'update'>;
  readonly consensus: Pick<Consensus, 'leadership'>;
  readonly dialer: RpcDialer;
  /** This manager. */
  readonly nodeId: NodeId;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly random: Random;
  readonly log: Log;
}

type Reply = Input<IssueCertificateReply>;

const AVAILABILITIES: readonly string[] = ['active', 'pause', 'drain'] satisfies NodeAvailability[];
const MS_NS = 1_000_000;

/** The cluster's certificate authority, on every manager: followers pass requests on to the leader, which remembers. */
export class CaService implements Implementation<'Ca'> {
  readonly #modules: CaModules;

  constructor(modules: CaModules) {
    this.#modules = modules;
  }

  async getRootCa(): Promise<{ certificate: string }> {
    return { certificate: this.#cluster().rootCa.certificate };
  }

  /**
   * With a token: makes the caller a node of the token's role. Without: renews the certificate the caller showed, with
   * the role that its node is to have now. A manager may ask for another node, which asked it.
   */
  async issueCertificate(request: IssueCertificateRequest, call: CallInfo): Promise<Reply> {
    const nodeId = requesterOf(request, call);
    if (!this.#modules.consensus.leadership().leading) return await this.#askLeader(request, nodeId, call);
    if (request.token !== '') return await this.#join(request);
    if (nodeId === undefined) throw tokenNeeded();
    return await this.#renew(request, nodeId);
  }

  async #askLeader(
    request: IssueCertificateRequest,
    nodeId: NodeId | undefined,
    call: CallInfo,
  ): Promise<Reply> {
    const { leader } = this.#modules.consensus.leadership();
    const passedOn = call.peer?.role === 'manager' && (request.token !== '' || request.forNode !== '');
    if (leader === undefined || leader.nodeId === this.#modules.nodeId || passedOn) {
      throw new NotLeaderError(passedOn ? leader?.controlAddr : undefined);
    }
    const client = this.#modules.dialer.client('Ca', leader.controlAddr, 'manager');
    const forNode = request.token === '' ? (nodeId ?? '') : '';
    return await client.issueCertificate({ ...request, forNode }, { signal: call.signal });
  }

  async #join(request: IssueCertificateRequest): Promise<Reply> {
    const cluster = this.#cluster();
    const role = roleOfToken(cluster, request.token);
    const spec = { role, availability: availabilityOf(request.availability) };
    const key = await requestedKey(request.csr);
    const nodeId = nodeIdOf(key);
    // It asked before and never heard the answer.
    if (this.#modules.store.view().nodes.get(nodeId)) return await this.#renew(request, nodeId);
    const issued = await this.#issue(cluster, nodeId, role, key);
    await this.#modules.store.update({
      expects: [{ table: 'node', id: nodeId, version: 0 }],
      changes: [
        {
          kind: 'putNode',
          node: {
            id: nodeId,
            spec,
            role,
            status: { state: 'unknown', sinceMs: Math.floor(this.#modules.clock.wallMs()) },
            certificateExpiresAtMs: issued.expiresAtMs,
          },
        },
        { kind: 'setNodeSpec', nodeId, spec },
      ],
    });
    this.#modules.log.info('a node joined', { node: nodeId, role });
    return reply(cluster, nodeId, role, issued);
  }

  async #renew(request: IssueCertificateRequest, nodeId: NodeId): Promise<Reply> {
    const cluster = this.#cluster();
    const role = certificateRole(this.#node(nodeId));
    const issued = await this.#issue(cluster, nodeId, role, await requestedKey(request.csr));
    const certificateExpiresAtMs = issued.expiresAtMs;
    await this.#modules.store.update({
      changes: [{ kind: 'setNodeRole', nodeId, role, certificateExpiresAtMs }],
    });
    // It may have been removed in between: then nothing is handed out.
    this.#node(nodeId);
    this.#modules.log.info('a certificate was renewed', { node: nodeId, role });
    return reply(cluster, nodeId, role, issued);
  }

  #issue(
    cluster: Cluster,
    nodeId: NodeId,
    role: NodeRole,
    key: Awaited<ReturnType<typeof requestedKey>>,
  ): Promise<Issued> {
    const lifetimeMs = cluster.spec.nodeCertExpiryNs / MS_NS;
    return issueCertificate(
      cluster.rootCa,
      { nodeId, role, clusterId: cluster.id, lifetimeMs },
      key,
      this.#modules,
    );
  }

  #node(nodeId: NodeId): Node {
    const node = this.#modules.store.view().nodes.get(nodeId);
    if (node === undefined) throw new ShoalError('FORBIDDEN', `node ${nodeId} is not part of the swarm`);
    return node;
  }

  #cluster(): Cluster {
    const { cluster } = this.#modules.store.view();
    if (cluster === undefined) throw new ShoalError('UNAVAILABLE', 'the swarm is not there yet: try again');
    return cluster;
  }
}

/** Whose certificate is asked for; nobody's yet, when the token is to decide. */
function requesterOf(request: IssueCertificateRequest, call: CallInfo): NodeId | undefined {
  if (request.forNode === '') return call.peer?.nodeId;
  if (call.peer?.role === 'manager') return request.forNode as NodeId;
  throw new ShoalError('FORBIDDEN', 'only managers ask for the certificate of another node');
}

function availabilityOf(asked: string): NodeAvailability {
  if (asked === '') return 'active';
  if (AVAILABILITIES.includes(asked)) return asked as NodeAvailability;
  throw new ShoalError(
    'INVALID_ARGUMENT',
    `invalid availability ${asked}, expected one of ${AVAILABILITIES.join(', ')}`,
  );
}

function reply(cluster: Cluster, nodeId: NodeId, role: NodeRole, issued: Issued): Reply {
  return {
    certificate: issued.certificate,
    rootCertificates: cluster.rootCa.certificate,
    nodeId,
    role,
  };
}
