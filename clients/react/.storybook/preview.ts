import "../src/style.css";

export default {};
