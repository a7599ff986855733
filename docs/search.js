// What is pasted into the search is mostly a message, which holds what the search takes for operators: a colon behind a
// word with a hyphen finds nothing at all. A word of one or two letters stands for all that begin with it.
document.addEventListener("paste", (event) => {
  const field = event.target
  if (!field.matches("[data-md-component=search-query]")) return
  event.preventDefault()
  const words = event.clipboardData
    .getData("text")
    .split(/[\s":+~^*-]+/)
    .filter((word) => word.length > 2)
  field.setRangeText(words.join(" "), field.selectionStart, field.selectionEnd, "end")
  field.dispatchEvent(new Event("keyup", { bubbles: true }))
})
