// Elements made in one expression. Text is always text: nothing is parsed.

// el('a', { href: '#/', class: 'quiet', onclick: f, disabled: true, 'aria-label': 'x' }, 'text', child)
// Functions named on… are listeners; true is an empty attribute; false, null
// and undefined are left out, as attributes and as children.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// The same for SVG, whose elements live in another namespace.
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.flat().filter((child) => child !== false && child !== null && child !== undefined));
  return element;
}
