// Drawn for SnapML. Colours come from the theme: `jp-icon3` follows the side
// bar's, `currentColor` the row's.

import { LabIcon } from '@jupyterlab/ui-components';
import type { ShownState } from './tokens.js';

function icon(name: string, size: number, body: string): LabIcon {
  return new LabIcon({
    name: `snapml-lab:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 ${size} ${size}">${body}</svg>`
  });
}

function stateIcon(name: string, body: string): LabIcon {
  return icon(
    `state-${name}`,
    16,
    `<g fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">${body}</g>`
  );
}

const RING = '<circle cx="8" cy="8" r="6.2"/>';

export const snapmlIcon = icon(
  'snapml',
  24,
  '<g class="jp-icon3" fill="#616161">' +
    '<path d="M12.9 2.2 6.1 12.6c-.3.5 0 1.1.6 1.1h4l-1.1 7.6c-.1.6.6.9 1 .4l7.3-10.3c.4-.5 0-1.2-.6-1.2h-4l.9-7.6c.1-.7-.8-1-1.3-.4z"/>' +
    '<circle cx="4.2" cy="6.4" r="1.7"/><circle cx="19.8" cy="17.6" r="1.7"/></g>'
);

export const STATE_ICONS: Record<ShownState, LabIcon> = {
  queued: stateIcon('queued', RING + '<path d="M8 4.8V8l2.2 1.6"/>'),
  starting: stateIcon(
    'starting',
    '<circle cx="8" cy="8" r="6.2" stroke-dasharray="2.2 2.67"/>'
  ),
  running: stateIcon(
    'running',
    RING +
      '<path d="M6.7 5.6v4.8L10.6 8z" fill="currentColor" stroke-width="1"/>'
  ),
  stopping: stateIcon(
    'stopping',
    RING +
      '<rect x="6" y="6" width="4" height="4" fill="currentColor" stroke-width="1"/>'
  ),
  succeeded: stateIcon('succeeded', RING + '<path d="m5.3 8.3 2 1.9 3.5-4"/>'),
  failed: stateIcon(
    'failed',
    RING + '<path d="m5.9 5.9 4.2 4.2m0-4.2-4.2 4.2"/>'
  ),
  cancelled: stateIcon('cancelled', RING + '<path d="m3.7 12.3 8.6-8.6"/>'),
  stopped: stateIcon(
    'stopped',
    RING + '<rect x="5.9" y="5.9" width="4.2" height="4.2"/>'
  ),
  lost: stateIcon(
    'lost',
    RING +
      '<path d="M6.2 6.4c.1-1 .8-1.6 1.8-1.6s1.8.6 1.8 1.5c0 1.3-1.8 1.3-1.8 2.6M8 11.2v.1"/>'
  )
};

/** Who holds memory, by kind. */
export const HOLDER_ICONS: Record<string, LabIcon | undefined> &
  Record<'process', LabIcon> = {
  job: stateIcon(
    'holder-job',
    RING +
      '<path d="M6.7 5.6v4.8L10.6 8z" fill="currentColor" stroke-width="1"/>'
  ),
  endpoint: stateIcon(
    'holder-endpoint',
    '<circle cx="8" cy="8" r="1.6"/><path d="M4.7 11.3a4.7 4.7 0 0 1 0-6.6m6.6 0a4.7 4.7 0 0 1 0 6.6M2.5 13.5a7.8 7.8 0 0 1 0-11m11 0a7.8 7.8 0 0 1 0 11"/>'
  ),
  kernel: stateIcon(
    'holder-kernel',
    '<rect x="3.2" y="1.8" width="10" height="12.4" rx="1"/><path d="M5.8 1.8v12.4M8.2 5.2h2.8M8.2 8h2.8"/>'
  ),
  process: stateIcon(
    'holder-process',
    '<rect x="1.8" y="2.8" width="12.4" height="10.4" rx="1"/><path d="m4.4 6 2.2 2-2.2 2M8.4 10.2h3"/>'
  )
};
