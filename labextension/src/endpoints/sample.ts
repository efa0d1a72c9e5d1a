// An endpoint as the server tells of it, for tests.

import type {
  Doing,
  EndpointView,
  Replica,
  Served,
  Stretch
} from '../api/generated.js';

export const IDLE: Doing = {
  requests: 0,
  per_second: 0,
  failures: [],
  read_tokens: 0,
  written_tokens: 0,
  written_per_second: 0,
  tokens_per_second: null,
  first_token_ms: null,
  duration_ms: null,
  engine_cache: null,
  answered_before: 0,
  cost_pico: '0',
  unknown: 0
};

export function replica(changes: Partial<Replica> = {}): Replica {
  return {
    name: 'story',
    state: 'running',
    message: null,
    restarts: 0,
    job: 'E',
    memory: null,
    peak_memory: null,
    gpu_memory: null,
    last_words: [],
    ...changes
  };
}

export function served(changes: Partial<Served> = {}): Served {
  return {
    id: 'r1',
    model: 'story@1',
    engine: 'transformers',
    share: 100,
    shadow: false,
    replicas: 1,
    on: null,
    services: [replica()],
    doing: IDLE,
    ...changes
  };
}

export function stretch(changes: Partial<Stretch> = {}): Stretch {
  return {
    at: '2026-11-22T11:59:00Z',
    partial: false,
    requests: 0,
    failed: 0,
    written_tokens: 0,
    tokens_per_second: null,
    first_token_ms: null,
    duration_ms: null,
    engine_cache: null,
    cost_pico: '0',
    unknown: 0,
    ...changes
  };
}

export function shown(changes: Partial<EndpointView> = {}): EndpointView {
  return {
    name: 'story',
    task: 'chat',
    state: 'running',
    message: null,
    url: 'http://127.0.0.1:8765',
    gateway: 'running',
    guardrails: null,
    fallbacks: [],
    cache_seconds: null,
    idle_seconds: null,
    timeout_seconds: 600,
    targets: [served()],
    since: '2026-11-22T11:45:00Z',
    until: '2026-11-22T12:00:00Z',
    step: 60,
    whole: true,
    doing: IDLE,
    open: 0,
    spent_pico: '0',
    spent_requests: 0,
    spent_unknown: 0,
    series: [],
    broken: [],
    snippets: [],
    before: null,
    ...changes
  };
}
