import { Command } from 'commander';
import { clientFor } from './context.ts';
import { ago, humanSize, printJson, printTable } from './output.ts';

interface ApiContainer {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Image: string;
  readonly Command: string;
  readonly Created: number;
  readonly Status: string;
}

interface ApiImage {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
}

/** What one machine has: `shoal ps`, `images`, `info`, `version`. */
export function machineCommands(): Command[] {
  return [
    psCommand(),
    imagesCommand(),
    jsonCommand('info', 'What this node is'),
    jsonCommand('version', 'Versions'),
  ];
}

function jsonCommand(name: string, description: string): Command {
  return new Command(name).description(description).action(async (_opts: object, command: Command) => {
    printJson(await clientFor(command).call('GET', `/${name}`));
  });
}

function psCommand(): Command {
  return new Command('ps')
    .description('List containers of this machine')
    .option('-a, --all', 'also those that do not run', false)
    .action(async (opts: { all: boolean }, command: Command) => {
      const query = { all: String(opts.all) };
      const containers = await clientFor(command).call<ApiContainer[]>('GET', '/containers/json', { query });
      const rows = containers.map(({ Id, Names, Image, Command: program, Created, Status }) => [
        Id.slice(0, 12),
        Image,
        JSON.stringify(program.slice(0, 20)),
        `${ago(Created * 1_000, Date.now())} ago`,
        Status,
        Names.map((name) => name.slice(1)).join(','),
      ]);
      printTable(['CONTAINER ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'NAMES'], rows);
    });
}

function imagesCommand(): Command {
  return new Command('images')
    .description('List images of this machine')
    .action(async (_opts: object, command: Command) => {
      const images = await clientFor(command).call<ApiImage[]>('GET', '/images/json');
      const rows = images.flatMap(({ Id, RepoTags, Created, Size }) =>
        (RepoTags?.length ? RepoTags : ['<none>:<none>']).map((tag) => [
          tag,
          Id.replace('sha256:', '').slice(0, 12),
          `${ago(Created * 1_000, Date.now())} ago`,
          humanSize(Size),
        ]),
      );
      printTable(['IMAGE', 'ID', 'CREATED', 'SIZE'], rows);
    });
}
