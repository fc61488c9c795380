import type { TaskContext } from '../executor.ts';

/**
 * Fills in Swarm's placeholders, which hostname, environment and mounts of a task may have:
 * `{{.Service.ID}}`, `{{.Service.Name}}`, `{{.Service.Labels.x}}`, `{{.Node.ID}}`, `{{.Node.Hostname}}`, `{{.Task.ID}}`,
 * `{{.Task.Name}}`, `{{.Task.Slot}}`. Anything else between braces throws, as in Swarm.
 */
export function expand(text: string, context: TaskContext, taskName: string): string {
  return text.replace(/\{\{\s*(.*?)\s*\}\}/g, (all, path: string) => {
    const value = placeholder(path, context, taskName);
    if (value === undefined)
      throw new Error(`expanding ${JSON.stringify(text)}: ${all} is no placeholder of a task`);
    return value;
  });
}

function placeholder(
  path: string,
  { task, revision, node }: TaskContext,
  taskName: string,
): string | undefined {
  const label = labelOf(path);
  if (label !== undefined) return revision.serviceLabels?.[label] ?? '';
  return new Map([
    ['.Service.ID', task.serviceId as string],
    ['.Service.Name', revision.serviceName],
    ['.Node.ID', node.nodeId as string],
    ['.Node.Hostname', node.hostname],
    ['.Task.ID', task.id as string],
    ['.Task.Name', taskName],
    ['.Task.Slot', task.slot === 0 ? node.nodeId : String(task.slot)],
  ]).get(path);
}

/** `.Service.Labels.x`, or `index .Service.Labels "x.y"`. */
function labelOf(path: string): string | undefined {
  return (
    /^\.Service\.Labels\.(\w+)$/.exec(path)?.[1] ?? /^index \.Service\.Labels "([^"]+)"$/.exec(path)?.[1]
  );
}
