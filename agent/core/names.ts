import { ShoalError } from '#proto/base/errors.ts';
import { type Random, randomInt } from '#proto/base/random.ts';

const ADJECTIVES = [
  'amber agile azure brave brisk calm clever coral deep eager fleet gentle glassy golden happy hidden humble icy jolly',
  'keen lively lucid mellow merry misty nimble noble patient pearly placid proud quick quiet radiant rapid rosy shiny',
  'silent silver sleek smooth snappy solemn spry steady stormy sunny swift tidal tranquil upbeat vivid warm wary wise',
  'witty zesty',
]
  .join(' ')
  .split(' ');

const FISH = [
  'anchovy angelfish barb barracuda bass betta bluefish bream burbot carp catfish char chub cod dace darter dory eel',
  'flounder garfish goby grayling grouper guppy haddock hake halibut herring ide koi ling loach lumpfish mackerel marlin',
  'minnow mullet opah orfe parrotfish perch pike pilchard plaice pollock pompano puffer ray roach rudd salmon sardine',
  'saury sculpin seahorse shad smelt snapper sole sprat stickleback sturgeon sunfish tang tarpon tench tetra trout tuna',
  'turbot wahoo walleye whiting wrasse',
]
  .join(' ')
  .split(' ');

/** A name for a container that was given none: `brisk_herring`, with a number when many are taken. */
export function randomName(random: Random, taken: (name: string) => boolean): string {
  for (let tries = 0; ; tries += 1) {
    const words = `${pick(random, ADJECTIVES)}_${pick(random, FISH)}`;
    const name = tries < 3 ? words : `${words}${randomInt(random, 10 ** Math.min(tries, 9))}`;
    if (!taken(name)) return name;
  }
}

function pick(random: Random, words: readonly string[]): string {
  return words[randomInt(random, words.length)] as string;
}

/** A fresh id: 64 hex digits, never all decimal at the front, where some tools would read a number. */
export function randomId(random: Random): string {
  for (;;) {
    const id = Buffer.from(random.bytes(32)).toString('hex');
    if (/[a-f]/.test(id.slice(0, 12))) return id;
  }
}

/** The name without its slash. INVALID_ARGUMENT when Docker would not have it. */
export function checkedContainerName(name: string): string {
  const bare = name.startsWith('/') ? name.slice(1) : name;
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(bare)) return bare;
  throw new ShoalError(
    'INVALID_ARGUMENT',
    `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  );
}
