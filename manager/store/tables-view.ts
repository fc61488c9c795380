import { revisionKey } from '#proto/types/assignments.ts';
import type { ClusterId, NetworkId, ServiceId } from '#proto/types/ids.ts';
import type { Cluster, Network, Revision, Service } from '#proto/types/objects.ts';
import { applyTransaction } from './apply/transaction.ts';
import type { Change } from './changes.ts';
import type { Tables } from './tables.ts';
import type { Draft, NamedTable, NodeTable, StoreView, TableView, TaskTable } from './view.ts';

/** Tables at one version. Whoever makes one hands in tables that nobody else changes. */
export class TablesView implements StoreView {
  readonly version: number;
  protected readonly tables: Tables;

  constructor(tables: Tables, version: number) {
    this.tables = tables;
    this.version = version;
  }

  get cluster(): Cluster | undefined {
    for (const cluster of this.tables.clusters.all()) return cluster;
    return undefined;
  }

  get clusters(): TableView<ClusterId, Cluster> {
    return this.tables.clusters;
  }

  get nodes(): NodeTable {
    return this.tables.nodes;
  }

  get services(): NamedTable<ServiceId, Service> {
    return this.tables.services;
  }

  get networks(): NamedTable<NetworkId, Network> {
    return this.tables.networks;
  }

  get tasks(): TaskTable {
    return this.tables.tasks;
  }

  revision(serviceId: ServiceId, specVersion: number): Revision | undefined {
    return this.tables.get('revision', revisionKey(serviceId, specVersion));
  }
}

/** A view of tables of its own, which it changes as the log would. */
export class TablesDraft extends TablesView implements Draft {
  readonly #atMs: number;

  constructor(tables: Tables, version: number, atMs: number) {
    super(tables.keepAsked(), version);
    this.#atMs = atMs;
  }

  apply(change: Change): void {
    const transaction = { atMs: this.#atMs, expects: [], changes: [change] };
    const outcome = applyTransaction(this.tables, transaction, this.version + 1);
    if ('refused' in outcome) throw outcome.refused;
  }
}
