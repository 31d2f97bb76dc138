// Before anything is painted: the colours that were chosen here before. The system's, where nothing was.
try {
  const theme = localStorage.getItem("sip-p2p-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; then the system's colours it is.
}
