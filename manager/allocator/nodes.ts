import { meshIndexMax } from '#proto/types/mesh.ts';
import type { Controller } from '../leader/controller.ts';
import type { Change } from '../store/changes.ts';

/** Every node gets the smallest index that no other has: its addresses for published ports follow from it. */
export const nodes: Controller = {
  name: 'nodes',
  wakesOn: ['cluster', 'node'],
  plan(view, { services, nodes: some }) {
    const isNew = services === undefined || some !== undefined;
    if (view.cluster === undefined || !isNew) return { changes: [] };
    const indexMax = meshIndexMax(view.cluster.meshPool);
    const all = [...view.nodes.all()];
    const taken = new Set(all.map(({ meshIndex }) => meshIndex));
    const changes: Change[] = [];
    let meshIndex = 1;
    for (const node of all.filter((each) => each.meshIndex === undefined)) {
      while (taken.has(meshIndex)) meshIndex++;
      if (meshIndex > indexMax) break;
      taken.add(meshIndex);
      changes.push({ kind: 'allocateNode', nodeId: node.id, meshIndex });
    }
    return { changes };
  },
};
