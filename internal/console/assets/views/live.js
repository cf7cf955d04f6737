export const view = { id: 'live', title: 'Live', needsKey: true, open(root) { root.textContent = ''; return () => {}; } };
