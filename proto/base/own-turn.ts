const waiting: (() => void)[] = [];

/**
 * For long work that is done in slices of some milliseconds: resolves in a turn of the loop that nobody else has who asks
 * here. Otherwise the slices of all who work at one time come together in one turn, and who waits for the loop waits for
 * all of them. There are as many who wait as there are such works, and each has its turn after those before it.
 */
export function ownTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(next);
  });
}

function next(): void {
  const resolve = waiting.shift();
  if (waiting.length > 0) setImmediate(next);
  resolve?.();
}
