import type { Container } from './container.ts';
import type { EventBus } from './events.ts';

/** Tells what happened to a container, with what is always said about it: image, name, labels. */
export function emitContainer(
  events: EventBus,
  container: Container,
  action: string,
  extra: Readonly<Record<string, string>> = {},
): void {
  const { config } = container.spec;
  const attributes = { ...config.Labels, ...extra, image: config.Image, name: container.name };
  events.emit('container', action, container.id, attributes);
}
