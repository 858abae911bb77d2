// Objects kept in this browser. What is not one, because a person or another version changed it, reads as empty.

export function readStored(name) {
  try {
    const value = JSON.parse(localStorage.getItem(name));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
