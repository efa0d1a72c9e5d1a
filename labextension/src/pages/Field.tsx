// A field of a form: its label, its unit, a hint, and beside it what is wrong with it.

import React, { useId } from 'react';

interface Common {
  label: string;
  /** What it is counted in, after the field. */
  unit?: string;
  /** What it takes, below it. */
  hint?: string;
  /** What is wrong with it. */
  fault?: string;
  value: string;
  testid: string;
}

export interface TextFieldProps extends Common {
  onChange: (value: string) => void;
  placeholder?: string;
  /** Before the field, as a currency's sign. */
  sign?: string;
  number?: boolean;
  maxLength?: number;
  autoFocus?: boolean;
  /** Nobody can change it. */
  fixed?: boolean;
}

export function TextField(props: TextFieldProps): React.JSX.Element {
  const { value, onChange, placeholder, number, sign, maxLength, fixed } =
    props;
  return (
    <Frame {...props} narrow={number}>
      {given => (
        <>
          {sign !== undefined && <span aria-hidden>{sign}</span>}
          <input
            {...given}
            value={value}
            placeholder={placeholder}
            inputMode={number ? 'decimal' : undefined}
            maxLength={maxLength ?? 200}
            autoFocus={props.autoFocus}
            autoComplete="off"
            spellCheck={false}
            readOnly={fixed}
            onChange={event => onChange(event.target.value)}
          />
        </>
      )}
    </Frame>
  );
}

export interface SelectFieldProps<T extends string> extends Common {
  value: T;
  /** Each choice and what it is called. */
  choices: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
  autoFocus?: boolean;
}

export function SelectField<T extends string>(
  props: SelectFieldProps<T>
): React.JSX.Element {
  const { value, choices, onChange } = props;
  return (
    <Frame {...props}>
      {given => (
        <select
          {...given}
          value={value}
          autoFocus={props.autoFocus}
          onChange={event => onChange(event.target.value as T)}
        >
          {choices.map(([choice, words]) => (
            <option key={choice} value={choice}>
              {words}
            </option>
          ))}
        </select>
      )}
    </Frame>
  );
}

interface Given {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': boolean;
  'data-testid': string;
}

function Frame(
  props: Common & {
    narrow?: boolean;
    children: (given: Given) => React.ReactNode;
  }
): React.JSX.Element {
  const { label, unit, hint, fault, narrow, testid } = props;
  const id = useId();
  const told = [
    unit && `${id}-unit`,
    fault && `${id}-fault`,
    hint && `${id}-hint`
  ].filter(Boolean);
  const kinds = ['snapml-Field', narrow && 'snapml-is-narrow'];
  return (
    <div className={kinds.filter(Boolean).join(' ')}>
      <label htmlFor={id}>{label}</label>
      <span className="snapml-Field-line">
        {props.children({
          id,
          'aria-describedby': told.join(' ') || undefined,
          'aria-invalid': fault !== undefined,
          'data-testid': testid
        })}
        {unit !== undefined && <span id={`${id}-unit`}>{unit}</span>}
      </span>
      {fault !== undefined && (
        <span
          className="snapml-Field-fault"
          id={`${id}-fault`}
          role="alert"
          data-testid={`${testid}-fault`}
        >
          {fault}
        </span>
      )}
      {hint !== undefined && (
        <span className="snapml-Field-hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  );
}
