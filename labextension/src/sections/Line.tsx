// A line to type, broken between words only: a browser would break it after hyphens, too.

import React from 'react';

export function Line({ words }: { words: string }): React.JSX.Element {
  return (
    <pre className="snapml-Line">
      {words.split(' ').map((word, index) => (
        <React.Fragment key={index}>
          {index > 0 && ' '}
          <span>{word}</span>
        </React.Fragment>
      ))}
    </pre>
  );
}
