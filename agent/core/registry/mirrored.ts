import { type ContentSource, firstOf } from '../image/source.ts';

/**
 * A repository at its mirrors and where they have it from, in that order. A mirror is asked for each thing once: when it
 * lacks it, breaks off in the middle, or gave something else, the next goes on, and it comes last from then on.
 */
export function mirrored(sources: readonly ContentSource[]): ContentSource {
  const [only] = sources;
  if (only && sources.length === 1) return only;
  const asked = sources.map(() => new Set<string>());
  const inTurn = (digest: string): ContentSource[] => {
    const fresh = sources.findIndex((_source, at) => !asked[at]?.has(digest));
    const first = fresh < 0 ? sources.length - 1 : fresh;
    const order = [...sources.keys()].map((at) => (at + first) % sources.length);
    return order.map((at) => noting(sources[at] as ContentSource, (what) => asked[at]?.add(what)));
  };
  const all: ContentSource = {
    document: (digest, ...rest) => firstOf(inTurn(digest)).document(digest, ...rest),
    blob: (digest, ...rest) => firstOf(inTurn(digest)).blob(digest, ...rest),
  };
  return { ...all, otherwise: all };
}

/** Tells what a source is asked for. */
function noting(source: ContentSource, asked: (digest: string) => void): ContentSource {
  return {
    document: (digest, ...rest) => {
      asked(digest);
      return source.document(digest, ...rest);
    },
    blob: (digest, ...rest) => {
      asked(digest);
      return source.blob(digest, ...rest);
    },
  };
}
