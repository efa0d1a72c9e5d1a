// A row of buttons of which one is pressed.

import React from 'react';

export interface ChoicesProps<T extends string> {
  label: string;
  /** Each choice and what its button says. */
  choices: readonly (readonly [T, string])[];
  chosen: T;
  onChoose: (choice: T) => void;
  /** Start of each button's test id. */
  testid: string;
}

export function Choices<T extends string>(
  props: ChoicesProps<T>
): React.JSX.Element {
  const { label, choices, chosen, onChoose, testid } = props;
  return (
    <div className="snapml-Choices" role="group" aria-label={label}>
      {choices.map(([choice, words]) => (
        <button
          key={choice}
          type="button"
          aria-pressed={choice === chosen}
          data-testid={`${testid}-${choice}`}
          onClick={() => onChoose(choice)}
        >
          {words}
        </button>
      ))}
    </div>
  );
}
