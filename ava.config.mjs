// Which folders run is said on the command line (package.json); this is how every one of them runs.
export default {
  extensions: ['ts'],
  files: ['test/**/*.test.ts', 'manager/raft/test/**/*.test.ts'],
  // Without news of any test: guards against hanging, on a busy machine too.
  timeout: '15m',
  workerThreads: false,
};
