/** Shoal's own version. */
export const SHOAL_VERSION = '0.1.0';

/**
 * The version told to Docker clients: the Engine whose API we follow, which tools compare, and ours as its build.
 */
export const ENGINE_VERSION = `28.3.3+shoal.${SHOAL_VERSION}`;

/** Newest and oldest version of the Engine API that is answered, as minor numbers of 1.x. */
export const API_MINOR_MAX = 51;
export const API_MINOR_MIN = 24;
