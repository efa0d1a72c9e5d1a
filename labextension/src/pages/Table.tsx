// A table in a frame that scrolls by itself where it is too wide.

import React from 'react';

export function Table(props: {
  label: string;
  head: readonly React.ReactNode[];
  rows: readonly {
    readonly key: string;
    readonly cells: readonly React.ReactNode[];
  }[];
  /** Whether all but the first column are numbers. */
  numbers?: boolean;
  /** Columns that are words among the numbers. */
  words?: readonly number[];
}): React.JSX.Element {
  const { label, head, rows, numbers, words = [] } = props;
  const kind = (index: number): string | undefined =>
    words.includes(index) ? 'snapml-is-words' : undefined;
  return (
    <div
      className="snapml-Table-frame"
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <table
        className={numbers ? 'snapml-Table snapml-is-numbers' : 'snapml-Table'}
      >
        <thead>
          <tr>
            {head.map((cell, index) => (
              <th key={index} scope="col" className={kind(index)}>
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(row => (
            <tr key={row.key}>
              {row.cells.map((cell, index) =>
                index === 0 ? (
                  <th key={index} scope="row" dir="auto">
                    {cell}
                  </th>
                ) : (
                  <td key={index} dir="auto" className={kind(index)}>
                    {cell}
                  </td>
                )
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
