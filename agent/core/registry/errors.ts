import { ShoalError } from '#proto/base/errors.ts';
import { familiarName, familiarRepository, type Reference } from '../image/reference.ts';
import type { HttpRequest, HttpResponse } from './http.ts';

interface RegistryAnswer {
  readonly registryCode: string;
  readonly status: number;
  readonly origin: string;
}

/** What a registry answers instead of what was asked for (distribution-spec, "Error Codes"). */
export class RegistryError extends ShoalError {
  /** `MANIFEST_UNKNOWN`, `DENIED`, … */
  readonly registryCode: string;
  readonly status: number;
  /** Who answered: `https://HOST`. */
  readonly origin: string;

  constructor(code: ShoalError['code'], message: string, from: RegistryAnswer) {
    super(code, message);
    this.name = 'RegistryError';
    this.registryCode = from.registryCode;
    this.status = from.status;
    this.origin = from.origin;
  }
}

const CODE_BY_STATUS: Readonly<Record<number, ShoalError['code']>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'NOT_IMPLEMENTED',
  416: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
};

const REGISTRY_CODE_BY_STATUS: Readonly<Record<number, string>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NOT_FOUND',
  429: 'TOOMANYREQUESTS',
};

/** For answers that say nothing themselves, such as those to HEAD. */
const WORDS_BY_STATUS: Readonly<Record<number, string>> = {
  401: 'unauthorized: authentication required',
  403: 'denied: requested access to the resource is denied',
};

/** Reads the failure out of an answer, and the answer to its end. */
export async function registryError(request: HttpRequest, response: HttpResponse): Promise<RegistryError> {
  const body = await response.bytes().catch(() => Buffer.alloc(0));
  const code = CODE_BY_STATUS[response.status] ?? (response.status >= 500 ? 'UNAVAILABLE' : 'INTERNAL');
  const said = firstError(body);
  const registryCode = said?.code ?? REGISTRY_CODE_BY_STATUS[response.status] ?? 'UNKNOWN';
  const words = registryCode.toLowerCase().replaceAll('_', ' ');
  const message = said
    ? `${words}: ${said.message}`
    : (WORDS_BY_STATUS[response.status] ??
      `${request.method} "${request.url.href}": unexpected status from registry: ${response.status}`);
  const { origin } = request.url;
  return new RegistryError(code, message, { registryCode, status: response.status, origin });
}

/** What a registry or its authorization server answers in JSON. UNAVAILABLE when it is no object. */
export function answerOf(bytes: Buffer): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new ShoalError('UNAVAILABLE', 'the registry answers with something that is not JSON');
}

function firstError(body: Buffer): { code: string; message: string } | undefined {
  try {
    const parsed = JSON.parse(body.toString('utf8')) as {
      errors?: { code?: unknown; message?: unknown }[];
      details?: unknown;
    };
    const [error] = parsed.errors ?? [];
    if (typeof error?.code !== 'string') return undefined;
    return {
      code: error.code,
      message: typeof error.message === 'string' ? error.message : error.code.toLowerCase(),
    };
  } catch {
    return undefined;
  }
}

/** A failed pull in the words that Docker's clients know. */
export function pullError(error: unknown, reference: Reference): unknown {
  if (!(error instanceof RegistryError)) return error;
  const repository = familiarRepository(reference);
  switch (error.registryCode) {
    case 'DENIED':
    case 'UNAUTHORIZED':
      return new ShoalError(
        'NOT_FOUND',
        `pull access denied for ${repository}, repository does not exist or may require 'docker login': ${deniedWords(error)}`,
        { cause: error },
      );
    case 'MANIFEST_UNKNOWN':
      return new ShoalError(
        'NOT_FOUND',
        `manifest for ${familiarName(reference)} not found: ${error.message}`,
        {
          cause: error,
        },
      );
    case 'NOT_FOUND':
      return new ShoalError(
        'NOT_FOUND',
        `manifest for ${familiarName(reference)} not found: manifest unknown: manifest unknown`,
        { cause: error },
      );
    case 'NAME_UNKNOWN':
      return new ShoalError('NOT_FOUND', `repository ${repository} not found: ${error.message}`, {
        cause: error,
      });
    default:
      return error;
  }
}

function deniedWords(error: RegistryError): string {
  return error.message.startsWith('denied: ') || error.message.startsWith('unauthorized: ')
    ? error.message
    : 'denied: requested access to the resource is denied';
}
