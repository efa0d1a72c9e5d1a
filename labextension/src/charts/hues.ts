// The colours of what is drawn together: the theme's, told apart by dashes where there are more. Pure.

const HUES = [
  'var(--jp-brand-color1)',
  'var(--jp-warn-color1)',
  'var(--jp-success-color1)',
  'var(--jp-mirror-editor-operator-color)',
  'var(--jp-icon-contrast-color2)',
  'var(--jp-info-color1)',
  'var(--jp-error-color1)',
  'var(--jp-ui-font-color2)'
];
const DASHES = [undefined, '6 3', '2 3', '8 3 2 3'];

export interface Stroke {
  readonly stroke: string;
  readonly strokeDasharray: string | undefined;
}

/** More lines than this look alike: they are drawn in one colour. */
export const MOST_HUES = HUES.length * DASHES.length;

export function strokeOf(index: number): Stroke {
  return {
    stroke: HUES[index % HUES.length],
    strokeDasharray: DASHES[Math.floor(index / HUES.length) % DASHES.length]
  };
}
