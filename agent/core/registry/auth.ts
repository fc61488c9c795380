import type { Clock } from '#proto/base/clock.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { RegistryAuth } from '../engine.ts';
import { answerOf, registryError } from './errors.ts';
import type { HttpResponse, HttpSend } from './http.ts';

/** What a registry wants to see (RFC 9110 section 11, distribution token authentication). */
export interface Challenge {
  readonly scheme: string;
  readonly params: Readonly<Record<string, string>>;
}

/** Parses `WWW-Authenticate`; what is malformed is left out. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; params: Record<string, string> }[] = [];
  const pattern = /([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/g;
  for (const [, name = '', quoted, plain] of header.matchAll(pattern)) {
    const value = quoted?.replace(/\\(.)/g, '$1') ?? plain;
    if (value === undefined) challenges.push({ scheme: name.toLowerCase(), params: {} });
    else {
      const last = challenges.at(-1);
      if (last) last.params[name.toLowerCase()] = value;
    }
  }
  return challenges;
}

/** `repository:NAME:ACTIONS`. */
export type Scope = string;

export interface AuthorizerModules {
  readonly send: HttpSend;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

interface Token {
  readonly value: string;
  readonly expiresAtMs: number;
}

const TOKEN_SECONDS_DEFAULT = 60;
/** A token is not used in its last seconds: the request that carries it takes a while. */
const MARGIN_MS = 5_000;
const CLIENT_ID = 'shoal';

/** Answers a registry's challenges, with credentials or as nobody in particular, and keeps the tokens it gets. */
export class Authorizer {
  readonly #credentials: RegistryAuth;
  readonly #modules: AuthorizerModules;
  readonly #tokens = new Map<Scope, Token>();
  #challenge: Challenge | undefined;

  constructor(credentials: RegistryAuth, modules: AuthorizerModules) {
    this.#credentials = credentials;
    this.#modules = modules;
  }

  /** Takes note of what a 401 asks for. False when that is nothing we know how to answer. */
  take(response: Pick<HttpResponse, 'headers'>): boolean {
    const challenges = parseChallenges(String(response.headers['www-authenticate'] ?? ''));
    const challenge = challenges.find(({ scheme }) => scheme === 'bearer' || scheme === 'basic');
    if (!challenge) return false;
    this.#challenge = challenge;
    this.#tokens.clear();
    return challenge.scheme === 'bearer' || this.#basic() !== undefined;
  }

  /** The `Authorization` header for these scopes; undefined while nothing was asked for. */
  async header(scopes: readonly Scope[], signal?: AbortSignal): Promise<string | undefined> {
    const { registrytoken } = this.#credentials;
    if (registrytoken) return `Bearer ${registrytoken}`;
    if (this.#challenge?.scheme === 'basic') return this.#basic();
    if (this.#challenge?.scheme !== 'bearer') return undefined;
    return `Bearer ${await this.#token(this.#challenge.params, scopes, signal)}`;
  }

  #basic(): string | undefined {
    const { username, password } = this.#credentials;
    if (!username || password === undefined) return undefined;
    return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  }

  async #token(params: Challenge['params'], scopes: readonly Scope[], signal?: AbortSignal): Promise<string> {
    const key = scopes.join(' ');
    const kept = this.#tokens.get(key);
    if (kept && kept.expiresAtMs > this.#modules.clock.monotonicMs()) return kept.value;
    const token = await this.#fetchToken(params, scopes, signal);
    this.#tokens.set(key, token);
    return token.value;
  }

  async #fetchToken(
    params: Challenge['params'],
    scopes: readonly Scope[],
    signal?: AbortSignal,
  ): Promise<Token> {
    const realm = realmOf(params);
    const request = this.#credentials.identitytoken
      ? refreshRequest(realm, params['service'], scopes, this.#credentials.identitytoken)
      : this.#tokenRequest(realm, params['service'], scopes);
    const response = await this.#modules.send({ ...request, signal });
    if (response.status !== 200) throw await this.#refused(request, response);
    const body = answerOf(await response.bytes());
    const value = body['token'] ?? body['access_token'];
    if (typeof value !== 'string' || value === '') {
      throw new ShoalError(
        'UNAVAILABLE',
        `authorization server ${realm.host} did not include a token in the response`,
      );
    }
    const seconds = typeof body['expires_in'] === 'number' ? body['expires_in'] : TOKEN_SECONDS_DEFAULT;
    return { value, expiresAtMs: this.#modules.clock.monotonicMs() + seconds * 1000 - MARGIN_MS };
  }

  #tokenRequest(realm: URL, service: string | undefined, scopes: readonly Scope[]): TokenRequest {
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    for (const scope of scopes) url.searchParams.append('scope', scope);
    const basic = this.#basic();
    if (basic !== undefined) url.searchParams.set('account', this.#credentials.username ?? '');
    return { method: 'GET', url, headers: basic === undefined ? {} : { authorization: basic } };
  }

  async #refused(request: TokenRequest, response: HttpResponse): Promise<ShoalError> {
    const isWrong = response.status === 401 && this.#basic() !== undefined;
    const error = await registryError(request, response);
    if (!isWrong) return error;
    return new ShoalError('UNAUTHENTICATED', 'unauthorized: incorrect username or password', {
      cause: error,
    });
  }
}

interface TokenRequest {
  readonly method: 'GET' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

function refreshRequest(
  url: URL,
  service: string | undefined,
  scopes: readonly Scope[],
  refreshToken: string,
): TokenRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    service: service ?? '',
    client_id: CLIENT_ID,
    scope: scopes.join(' '),
    refresh_token: refreshToken,
  });
  return {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
  };
}

function realmOf(params: Challenge['params']): URL {
  const url = URL.parse(params['realm'] ?? '');
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ShoalError('UNAVAILABLE', 'the registry asks for a token and does not say where to get it');
  }
  return url;
}
