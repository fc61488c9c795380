// Which folders run is said on the command line (package.json); this is how every one of them runs.
export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts', 'manager/raft/test/**/*.test.ts'],
  timeout: '5m',
  workerThreads: false,
};
