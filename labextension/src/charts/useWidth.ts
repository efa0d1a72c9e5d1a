// How wide an element is, kept current: text in a picture is not to be stretched with it.

import { type RefObject, useLayoutEffect, useRef, useState } from 'react';

export function useWidth<T extends Element>(): [RefObject<T>, number] {
  const ref = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const node = ref.current;
    if (node === null) {
      return undefined;
    }
    setWidth(Math.floor(node.getBoundingClientRect().width));
    const watch = new ResizeObserver(([entry]) => {
      // A page that is hidden has no width; it keeps the one it had.
      const now = Math.floor(entry.contentRect.width);
      setWidth(before => (now > 0 ? now : before));
    });
    watch.observe(node);
    return () => watch.disconnect();
  }, []);
  return [ref, width];
}
